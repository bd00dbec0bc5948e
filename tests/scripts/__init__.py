"""Tests of what scripts/ is made of; its files import each other as a script's do."""

import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))
