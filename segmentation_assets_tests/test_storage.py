"""Errors of buckets in words."""

import pytest

from segmentation_assets.storage import in_words


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("x InvalidAccessKeyId y", "does not know the key in AWS_ACCESS_KEY_ID"),
        ("PUT http://169.254.169.254/latest - Server returned 403 Forbidden", "none are set. Set AWS_ACCESS_KEY_ID"),
        ("error sending request for url (http://127.0.0.1:1/)", "does not answer"),
        ("something new\nand more", "something new. Check the address"),
    ],
)
def test_errors_have_a_remedy(said, told):
    assert told in in_words(RuntimeError(said))
