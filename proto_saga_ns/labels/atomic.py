"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from proto_saga_ns.errors import ProtoSagaError


def write_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` into ``path``, making the folders above it; a failure leaves what was there before.

    Raises:
        ProtoSagaError: the file cannot be written (full disk, no permission).
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise ProtoSagaError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or choose a folder that you "
            "may write to, then run the same command again."
        ) from error
    finally:
        # After a successful replace nothing is left; after a failure no debris shall stay behind.
        temporary.unlink(missing_ok=True)
