"""Records a conference for five seconds with the `plivo` package and saves the file."""

import os
import time
from pathlib import Path

import plivo
import requests

from tapeline import compat

base, conference = os.environ["BASE"], os.environ["CONFERENCE"]
seconds = float(os.environ.get("SECONDS_RECORDED", "5"))

account = plivo.RestClient(os.environ["AUTH_ID"], os.environ["AUTH_TOKEN"])
client = compat.plivo(account, base)

started = client.conferences.record(conference, file_format="wav")
print(started.message, started.recording_id)
time.sleep(seconds)
client.conferences.record_stop(conference)

answer = requests.get(started.url, timeout=10)
while answer.status_code == requests.codes.not_found:  # the file is being finished
    time.sleep(0.2)
    answer = requests.get(started.url, timeout=10)
answer.raise_for_status()
file = Path(f"{conference}.plivo.wav")
file.write_bytes(answer.content)
print(f"{len(answer.content)} bytes in {file}")
