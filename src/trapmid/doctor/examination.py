"""All findings in their order."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from trapmid.doctor import machine, project, services
from trapmid.doctor.finding import Finding, looked


def examine(home: Path) -> list[Finding]:
    """Looks at the machine and at the folder `home`; raises nothing, changes nothing.

    Without a params.yaml that can be read, nothing is said of data, weights and times.
    """
    found = [
        *looked("python", machine.python),
        *looked("torch", machine.torch),
        *looked("cores", machine.cores),
        *looked("memory", machine.memory),
        *looked("disk", partial(machine.disk, home)),
    ]
    params = looked("params", partial(project.params, home))
    found += params
    if not any(finding.is_fatal for finding in params):
        found += looked("data", partial(project.data, home))
        found += looked("weights", partial(project.weights, home))
        found += looked("packages", partial(project.packages, home))
        found += looked("time", partial(project.times, home))
    found += looked("dvc", partial(services.dvc, home))
    found += looked("mlflow", partial(services.mlflow, home))
    return found
