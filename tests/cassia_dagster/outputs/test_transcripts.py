from pathlib import Path

import pytest

from cassia_dagster.outputs.result import ResolutionResult
from cassia_dagster.outputs.transcripts import transcript_names, write_transcripts


def renamed(blood: ResolutionResult, cluster: str, other: str) -> ResolutionResult:
    """The same result with another id for one cluster."""
    text = blood.model_dump_json().replace(f'"cluster":"{cluster}"', f'"cluster":{other}')
    return ResolutionResult.model_validate_json(text)


def test_a_transcript_holds_every_question_and_reply_in_order(blood: ResolutionResult, tmp_path: Path) -> None:
    write_transcripts(blood, tmp_path)
    text = (tmp_path / "transcripts" / "cluster-2.txt").read_text()
    assert "Dataset blood, resolution 0.4, cluster 2: B cell" in text
    titles = [line for line in text.splitlines() if line[:3] in {"1. ", "2. ", "3. ", "4. "}]
    assert titles == [
        "1. annotate: openai/gpt-4o, template annotate.v1@0123",
        "2. validate: openai/gpt-4o, template validate.v1@0123",
        "3. score: openai/gpt-4o, template score.v1@0123",
        "4. boost: openai/o3, template boost.v1@0123",
    ]
    assert text.count("--- question ---\nWhat is it?") == text.count("--- reply ---\n{}") == 4


def test_a_cluster_that_nobody_was_asked_about_has_none(blood: ResolutionResult, tmp_path: Path) -> None:
    assert set(transcript_names(blood)) == {"0", "2", "10"}
    assert len(write_transcripts(blood, tmp_path)) == 3


@pytest.mark.parametrize(
    "cluster", ["../x", "CD4/CD8 T", "a\\\\b", "C:", ".", "x" * 300, "T cells ", "\u03b1", "a\\u0000b", "A"]
)
def test_no_id_leaves_the_folder_and_no_two_meet(blood: ResolutionResult, tmp_path: Path, cluster: str) -> None:
    result = renamed(renamed(blood, "0", f'"{cluster}"'), "2", f'"{cluster.lower()}2"')
    written = write_transcripts(result, tmp_path)
    assert len({path.name.casefold() for path in written}) == 3
    assert all(path.resolve().parent == tmp_path.resolve() / "transcripts" for path in written)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(written)
    assert all(len(path.name) < 100 and path.name.isascii() for path in written)


def test_ids_that_differ_in_case_only_have_two_files(blood: ResolutionResult) -> None:
    names = transcript_names(renamed(renamed(blood, "0", '"b"'), "2", '"B"'))
    assert names["b"].casefold() != names["B"].casefold()


def test_the_transcript_of_a_cluster_that_is_no_more_goes(blood: ResolutionResult, tmp_path: Path) -> None:
    write_transcripts(blood, tmp_path)
    mine = tmp_path / "transcripts" / "my notes.txt"
    mine.write_text("keep me")
    write_transcripts(renamed(blood, "10", '"7"'), tmp_path)
    assert {path.name for path in mine.parent.iterdir()} == {
        "cluster-0.txt",
        "cluster-2.txt",
        "cluster-7.txt",
        "my notes.txt",
    }


def test_what_a_terminal_would_obey_is_spelled_out(blood: ResolutionResult, tmp_path: Path) -> None:
    text = blood.model_dump_json().replace("What is it?", "\\u001b[2J\\u202egnp.exe\\r\\nnext line")
    write_transcripts(ResolutionResult.model_validate_json(text), tmp_path)
    shown = (tmp_path / "transcripts" / "cluster-2.txt").read_bytes().decode()
    assert "\\x1b[2J\\u202egnp.exe\\r\nnext line" in shown
    assert "\x1b" not in shown
    assert "\r" not in shown
