"""Which pictures of a set a model is judged on."""

from __future__ import annotations

from pathlib import Path

from mien.data.sample import Sample, read_samples
from mien.data.split import SPLITS
from mien.errors import DataError


def samples_to_judge(data: str | Path, split: str = "") -> tuple[list[Sample], list[str]]:
    """The samples of a set and what a reader should know of the choice.

    data: a project, an ImageFolder or a Parquet file. split: only the pictures in that part, one of `SPLITS`. Without it all
    pictures count; of a project only the labelled ones, of its test part, else its validation part, else all.

    Raises `DataError` when it cannot be read, or has no picture in that part.
    """
    if split and split not in SPLITS:
        raise DataError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    samples = read_samples(data)
    is_project = (Path(data) / "mien.toml").is_file()
    if is_project:
        labelled = [sample for sample in samples if sample.state in ("", "labelled")]
        if not labelled:
            raise DataError(
                f"{data}: expected labelled pictures, found {len(samples)} that nobody has labelled; run: mien label"
            )
        samples = labelled
    parts = {part: [sample for sample in samples if sample.split == part] for part in SPLITS}
    if split:
        if not parts[split]:
            there = ", ".join(f"{part} {len(of_part)}" for part, of_part in parts.items() if of_part) or "no parts"
            raise DataError(f"{data}: expected pictures in the part {split}, found {there}; run: mien data split")
        return parts[split], [f"part {split} of the set"]
    if not is_project:
        return samples, []
    for part in ("test", "validation"):
        if parts[part]:
            return parts[part], [f"part {part} of the project"]
    return samples, ["the project is not divided (mien data split): all of its pictures count"]
