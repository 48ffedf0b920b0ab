from tapeline.api.dialect import fill
from tapeline.demo.request import DemoAnswer, DemoRequest


def test_values_are_filled_in_and_other_braces_stay() -> None:
    template = '{"file_format": "{format}", "x": {"y": 1}}'

    assert fill(template, {"format": "wav"}) == '{"file_format": "wav", "x": {"y": 1}}'


def test_a_request_is_shown_as_the_curl_that_is_run() -> None:
    request = DemoRequest(method="POST", url="http://h/x", headers={"A": "b c"}, body='{"k": "v"}')

    assert request.as_curl()[:4] == ["curl", "-X", "POST", "http://h/x"]
    assert request.shown() == (
        "curl -X POST http://h/x \\\n  -H 'A: b c' \\\n  -d '{\"k\": \"v\"}'"
    )


def test_a_field_is_found_at_the_top_or_under_data() -> None:
    assert DemoAnswer(status=200, text='{"url": "u"}', was_curl=True).field("url") == "u"
    assert DemoAnswer(status=200, text='{"data": {"url": "u"}}', was_curl=True).field("url") == "u"
    assert DemoAnswer(status=200, text="not JSON", was_curl=True).field("url") == ""
    assert not DemoAnswer(status=404, text="{}", was_curl=False).is_fine
