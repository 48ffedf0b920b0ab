"""Records a conference for five seconds with the `telnyx` package and saves the file."""

import os
import time
from pathlib import Path

import requests
import telnyx

base, conference = os.environ["BASE"], os.environ["CONFERENCE"]
seconds = float(os.environ.get("SECONDS_RECORDED", "5"))

client = telnyx.Telnyx(api_key=os.environ["API_KEY"], base_url=f"{base}/v2")

started = client.conferences.actions.record_start(conference, format="wav")
print("recording", started.data.result)
time.sleep(seconds)
client.conferences.actions.record_stop(conference)

recordings = client.recordings.list().data
while not recordings:  # only finished ones are listed
    time.sleep(0.2)
    recordings = client.recordings.list().data
answer = requests.get(recordings[0].download_urls.wav, timeout=10)
answer.raise_for_status()
file = Path(f"{conference}.telnyx.wav")
file.write_bytes(answer.content)
print(f"{len(answer.content)} bytes in {file}")
