"""``python -m fastgrad``."""

from fastgrad.cli import app

if __name__ == "__main__":
    app()
