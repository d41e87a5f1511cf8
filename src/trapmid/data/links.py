"""Links in the folder of a data set: DVC (3.67.1) does not follow all of them.

findings/dvc_link_in_folder.sh shows it.
"""

from __future__ import annotations

import os
from pathlib import Path

from trapmid.data.listing import DataError


def check(folder: Path) -> None:
    """Refuses a folder with a linked folder somewhere inside: DVC sees no change behind it.

    DVC does see what changes behind the folder itself, if it is a link or below one, and behind
    a link to a single file.

    Raises:
        DataError: it names the link.
    """
    for at, folders, _ in os.walk(folder):
        for name in sorted(folders):
            if (link := Path(at) / name).is_symlink():
                raise DataError(
                    f"{link}: is a link to a folder, behind which DVC sees no change; "
                    f"link {folder} as a whole instead"
                )
