"""The publishers' recorded outputs on photographs, which lie beside the repository."""

import golden_files
import pytest


@pytest.fixture
def golden(request):
    """As everywhere; a file that holds photographs is read from the reference folder."""

    def load(name):
        if (golden_files.GOLDEN / name).is_file():
            return golden_files.load(name)
        return golden_files.load(request.getfixturevalue("photographs") / "golden" / name)

    return load
