"""What a run writes down: JSON Lines that go on after a kill, and TensorBoard."""

import json
from pathlib import Path

from training.log import Log


def test_a_resumed_log_goes_on_at_its_step_without_the_half_line_of_a_kill(tmp_path: Path):
    log = Log(tmp_path, tensorboard=False, step=0)
    for step in (1, 2, 3):
        log.add(step, "TrainStep", {"total": 1.0 / step})
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"event": "TrainSt')
    Log(tmp_path, tensorboard=False, step=2).add(3, "TrainStep", {"total": 0.5})
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], line["total"]) for line in lines] == [(1, 1.0), (2, 0.5), (3, 0.5)]


def test_tensorboard_has_every_number_of_a_step(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = Log(tmp_path, tensorboard=True, step=0)
    for step in (1, 2):
        log.add(step, "TrainStep", {"total": 2.0 * step, "learning_rate": 0.1, "note": "no number"})
    log.close()
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert set(read.Tags()["scalars"]) == {"TrainStep/total", "TrainStep/learning_rate"}
    assert [(event.step, event.value) for event in read.Scalars("TrainStep/total")] == [(1, 2.0), (2, 4.0)]
