"""What of a URL may be shown and stored."""

import time

import pytest

from segbench.zoo.files.urls import shown_text, shown_url


@pytest.mark.parametrize(
    "url",
    [
        "https://download.openmmlab.com/mmsegmentation/v0.5/a-b_c@d/x%20y.pth",
        "https://drive.google.com/uc?export=download&id=1aB-_9",
        "https://host:8080/f?raw=true#L10-L20",
        "http://[::1]:80/",
        "no URL",
    ],
)
def test_a_url_without_secrets_is_shown_as_it_is(url):
    assert shown_url(url) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host/f", "https://***@host/f"),
        ("https://secret@host:80/f", "https://***@host:80/f"),
        ("https://user:a@secret@host/f", "https://***@host/f"),
        ("https://user:sec/ret@host/f", "https://***"),
        ("https://user:sec?ret@host/f", "https://***"),
        ("https://user:sec#ret@host/f", "https://***"),
        ("HTTPS://user:secret@[::1]:80/f", "HTTPS://***@[::1]:80/f"),
        ("http://user:secret@[broken/f", "http://***@[broken/f"),
        ("https://host/f?token=secret", "https://host/f?token=***"),
        (
            "https://host/f?X-Amz-Date=1&X-Amz-Signature=secret;dl=1",
            "https://host/f?X-Amz-Date=***&X-Amz-Signature=***;dl=1",
        ),
        ("https://host/f?secret", "https://host/f?***"),
        ("https://host/f?secret=", "https://host/f?***="),
        ("https://host/f?%74oken=secret&&a=b=c", "https://host/f?***=***&&a=***"),
        ("https://host/f?download=secret+and+more", "https://host/f?download=***"),
        ("https://host/f;jsessionid=secret/g;v", "https://host/f;jsessionid=***/g;v"),
        ("https://host/f#access_token=secret", "https://host/f#***"),
    ],
)
def test_what_grants_access_is_left_out(url, shown):
    """And the result may be shown: doing it again changes nothing."""
    assert (shown_url(url), shown_url(shown)) == (shown, shown)


def test_somebody_elses_message_keeps_its_words_and_loses_the_secrets():
    message = "Max retries: http://u:secret@h/f?key=secret and /f?secret and u:secret@h (is a?b, c@d, what?)"
    assert shown_text(message) == (
        "Max retries: http://***@h/f?key=*** and /f?*** and ***@h (is a?b, c@d, what?)"
    )


@pytest.mark.parametrize(
    "text", ["http://" + "@" * 400_000, "http://h/" + ";" * 400_000, "h?" + "&=" * 200_000, ":@" * 200_000]
)
def test_time_is_linear_in_the_text(text):
    started = time.process_time()
    shown_text(text)
    assert time.process_time() - started < 5
