import sys

from tests.shapes import check_shapes

if "proto_saga_ns" not in sys.modules:  # in a worker that a test starts, it is there first
    check_shapes("proto_saga_ns")
