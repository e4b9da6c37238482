"""A new lab's folder, to be filled in an afternoon."""

from __future__ import annotations

from pathlib import Path

from common.errors import CommandError
from labs.grader.lab import LABS, NAME

FILES = {
    "README.md": """# Lab {number}: {title}

> 30 minutes · easy · our solution: 1 lines

## Goal

One sentence.

## Predict

```
python -m labs predict {number:02} --student ID
```

Write your answers into `labs/{name}/answers.toml`.

## Run

```
python -m labs grade {number:02}
```

## Observe

Which view, and what must be seen there.

## Explain

One question.

## Extend

One step further.

## Hand in

```
python -m labs receipt {number:02} --student ID
```

`mine.py`, `answers.toml` (with your explanation) and `receipt.json`, all in `labs/{name}`.
""",
    "mine.py": '''"""Lab {number}: {title}."""

from __future__ import annotations


def double(number: int) -> int:
    """Twice ``number``."""
    # answer
    return 2 * number
    # blank
    # return 0  # yours
    # end of answer
''',
    "checks.py": '''"""The stages of lab {number}."""

from __future__ import annotations

from random import Random

from labs.grader.lab import Question
from labs.grader.run import Run
from labs.grader.stage import stage


@stage("twice the number", 1, "docs/glossary.md")
def s1(run: Run) -> None:
    number = run.rng.randint(1, 99)
    told = run.call("double", number)
    run.note(0.0, f"the number is {{number}}", call=True)
    likely = "it is squared (wrong/squared)"
    run.expect(told == 2 * number, f"{{2 * number}}", f"{{told}}", at=0.0, likely=likely)


def predict(rng: Random) -> list[Question]:
    """Numbers to work out before the first run."""
    number = rng.randint(10, 99)
    return [Question(f"Twice {{number}}?", 2 * number, "", 0.001)]
''',
    "wrong/squared.diff": """caught by s1
it is squared
-    return 2 * number
+    return number * number
""",
}


def write(name: str, folder: Path = LABS) -> Path:
    """Make the folder of the lab ``name`` ("08-streaming"). CommandError."""
    if not NAME.fullmatch(name):
        raise CommandError(f"{name!r} is no lab's name; two digits, a hyphen and small letters: 08-streaming")
    target = folder / name
    if target.exists() or any(path.name[:2] == name[:2] for path in folder.iterdir() if path.name != name):
        raise CommandError(f"there is a lab {name[:2]} already")
    for file, text in FILES.items():
        path = target / file
        path.parent.mkdir(parents=True, exist_ok=True)
        words = {"number": int(name[:2]), "name": name, "title": name[3:].replace("-", " ")}
        path.write_text(text.format(**words) if file != "wrong/squared.diff" else text, encoding="utf-8")
    return target
