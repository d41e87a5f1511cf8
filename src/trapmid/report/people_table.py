"""reports/people.csv: the lists of who leaks most, for a spreadsheet.

A line per defence and person, in the order of the report. Its columns: defence, attack (of the
images that are counted), label, name (as the data set has it), training_images (that the study
trains on), recognised (images that the evaluator names as the person), agreed (of them, those that
all judges grant; empty where no judge has a voice), images.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from trapmid.report.people import Exposed

FILE = "people.csv"

_COLUMNS = (
    *("defence", "attack", "label", "name"),
    *("training_images", "recognised", "agreed", "images"),
)


def table(exposed: Mapping[str, Exposed]) -> str:
    """The table as CSV; a study in which no attack ran has the head alone.

    Args:
        exposed: people by defence.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for defense, (attack, people, _) in exposed.items():
        for one in people:
            who = (defense, attack, one.label, one.name)
            writer.writerow((*who, one.trained, one.hits, one.agreed, one.n))
    return stream.getvalue()
