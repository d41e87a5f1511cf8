#!/usr/bin/env bash
# dlib-bin 20.0.1.post1 describes one face differently at every call, once num_jitters is above 1.
#
# Valid input: one RGB chip of 150 x 150 pixels, given to `face_recognition_model_v1` twice in one
# process with num_jitters=10. Seen: the second descriptor differs from the first, and a fresh process
# gives the first one again: the crops are drawn from a stream that starts with the process and goes on
# from call to call. So a face's descriptor depends on how many faces came before it, and rows scored in
# another order, or by several workers, get other distances. With num_jitters 0 (the default) and 1 all
# calls are equal. There is no seed to set.
#
# Ends with 0 while that is so, with 1 once dlib behaves otherwise.
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check \
  dlib-bin==20.0.1.post1 face-recognition-models==0.3.0 numpy==2.4.6
unset PYTHONPATH

cat > look.py << 'EOF'
import importlib.util
import pathlib
import subprocess
import sys

import dlib
import numpy

JITTERS = (0, 1, 10)


def descriptors():
    """Of one drawn face: two calls for each number of jitters."""
    # The package of the weights cannot be imported without setuptools, so it is only looked up.
    found = importlib.util.find_spec("face_recognition_models").origin
    weights = pathlib.Path(found).parent / "models" / "dlib_face_recognition_resnet_model_v1.dat"
    network = dlib.face_recognition_model_v1(str(weights))
    y, x = numpy.mgrid[:150, :150]
    face = numpy.full((150, 150, 3), 90, numpy.uint8)
    face[(x - 75) ** 2 / 45**2 + (y - 80) ** 2 / 60**2 < 1] = (220, 180, 150)
    for across in (55, 95):
        face[(x - across) ** 2 + (y - 65) ** 2 < 36] = (40, 30, 30)
    face[(abs(x - 75) < 20) & (abs(y - 110) < 4)] = (160, 60, 60)
    return {
        jitters: [numpy.array(network.compute_face_descriptor(face, jitters)) for _ in range(2)]
        for jitters in JITTERS
    }


if len(sys.argv) > 1:
    numpy.save(sys.argv[1], descriptors()[10][0])
    sys.exit()

here = descriptors()
apart = {jitters: float(numpy.linalg.norm(a - b)) for jitters, (a, b) in here.items()}
subprocess.run([sys.executable, __file__, "again.npy"], check=True)
fresh = float(numpy.linalg.norm(numpy.load("again.npy") - here[10][0]))
for jitters, distance in apart.items():
    print(f"num_jitters {jitters:2}: two calls are {distance:.4f} apart")
print(f"num_jitters 10: the first call of another process is {fresh:.4f} apart")
sys.exit(not (apart[0] == apart[1] == fresh == 0 and apart[10] > 0.005))
EOF
env/bin/python look.py
