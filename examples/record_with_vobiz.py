"""Records a conference for five seconds with the `vobiz-python` package and saves the file."""

import os
import time
from pathlib import Path

import requests
import vobiz

from tapeline import compat

base, conference = os.environ["BASE"], os.environ["CONFERENCE"]
seconds = float(os.environ.get("SECONDS_RECORDED", "5"))

account = vobiz.RestClient(os.environ["AUTH_ID"], os.environ["AUTH_TOKEN"])
client = compat.vobiz(account, base)

record = ("Conference", conference, "Record")
started = client.request("POST", record, data={"file_format": "wav"})
print(started.message, started.recording_id)
time.sleep(seconds)
client.request("DELETE", record, data={})

answer = requests.get(started.url, timeout=10)
while answer.status_code == requests.codes.not_found:  # the file is being finished
    time.sleep(0.2)
    answer = requests.get(started.url, timeout=10)
answer.raise_for_status()
file = Path(f"{conference}.vobiz.wav")
file.write_bytes(answer.content)
print(f"{len(answer.content)} bytes in {file}")
