import json
import pickle

import numpy as np
import pytest

from serlds.datasets.episode import Episode
from serlds.datasets.errors import UsageError
from serlds.pipelines.checks.episode_checks import check_one
from serlds.pipelines.findings import BadEpisodeError
from serlds.pipelines.transforms.embedding import EmbedLanguage, hashed_embedding
from serlds.pipelines.transforms.fields import DropField
from serlds.pipelines.transforms.language import SetLanguage


def test_template(world):
    set_language = SetLanguage(template="{task} it, seed {seed}; {{braces}}")
    result = set_language(world.episode(4), world.schema)
    assert result["language_instruction"] == ["pick it, seed 4; {braces}"] * 13


def test_language_is_added_where_there_was_none(world):
    drop, set_language = DropField(path="language_instruction"), SetLanguage(template="go")
    without = drop.map_schema(world.schema)
    schema = set_language.map_schema(without)
    result = set_language(drop(world.episode(0), world.schema), without)
    assert check_one(result, schema) == [] and result["language_instruction"][0] == "go"


CSV = 'task,note,language_instruction\npick,x,"pick up, gently"\nplace,y,put it down\n'
TABLES = {
    "t.csv": (CSV, "task"),
    "t.json": (json.dumps({"pick": "pick up, gently"}), "task"),
    "bom.csv": ("\ufeff" + CSV, "task"),
    "by_id.csv": (
        'episode_id,language_instruction\nepisode-00004,"pick up, gently"\n',
        "episode_id",
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_table(world, tmp_path, name):
    content, by = TABLES[name]
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    set_language = SetLanguage(table=str(path), by=by)
    path.unlink()  # workers need not have it
    set_language = pickle.loads(pickle.dumps(set_language))
    result = set_language(world.episode(4), world.schema)
    assert result["language_instruction"] == ["pick up, gently"] * 13


def test_episode_that_the_table_does_not_have(world, tmp_path):
    path = tmp_path / "t.json"
    path.write_text('{"fold": "fold it"}')
    episode = world.episode(4)
    with pytest.raises(
        BadEpisodeError, match=r"field task: .*expected a row for this task, found pick"
    ):
        SetLanguage(table=str(path))(episode, world.schema)
    assert SetLanguage(table=str(path), missing="keep")(episode, world.schema) is episode


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("t.json", "[1, 2]", "expected a JSON object"),
        ("t.json", "{", "Expecting"),
        ("t.json", '{"a": 3}', "'a': expected an instruction, found 3"),
        ("t.json", '{"a": "x", "a": "y"}', "'a' has two instructions"),
        ("t.json", "[" * 100_000, "recursion"),
        ("t.json", "{}", "it is empty"),
        ("t.csv", "task,text\na,b\n", "columns task and language_instruction, found task, text"),
        ("t.csv", "", "found none"),
        ("t.csv", "task,language_instruction\na,\n", "expected an instruction, found ''"),
        ("t.csv", "task,language_instruction\na\n", "expected an instruction, found None"),
        ("t.csv", "task,language_instruction\na,b\na,c\n", "two instructions"),
    ],
)
def test_wrong_table(tmp_path, name, content, complaint):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        SetLanguage(table=str(path))
    assert str(path) in str(error.value) and complaint in str(error.value)


def test_table_that_is_no_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="decode"):
        SetLanguage(table=str(path))


def with_texts(episode, texts):
    return Episode({**episode.columns, "language_instruction": texts}, episode.metadata)


@pytest.mark.parametrize("dim", [1, 64, 512])
def test_hashed_embedding(world, dim):
    embed = EmbedLanguage(dim=dim)
    texts = ["pick up the cube"] * 6 + ["Pick up, the CUBE!"] * 6 + [" ?"]
    result = embed(with_texts(world.episode(0), texts), world.schema)
    vectors = result["language_embedding"]
    assert check_one(result, embed.map_schema(world.schema))[1:] == []  # the blank text is told
    assert vectors.shape == (13, dim) and vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors[0], vectors[11])
    assert not vectors[12].any()
    if dim > 1:
        np.testing.assert_allclose(np.linalg.norm(vectors[:12], axis=1), 1, rtol=1e-6)


def test_hashed_embedding_is_the_same_everywhere_and_tells_likeness():
    near = hashed_embedding("pick up the red cube", 512) @ hashed_embedding("pick up the cube", 512)
    far = hashed_embedding("open the drawer", 512) @ hashed_embedding("pick up the cube", 512)
    assert near > 0.6 > 0.3 > abs(far)
    # Written down once: it must never change, or old and new data would not go together.
    assert np.flatnonzero(hashed_embedding("pick up", 32)).tolist() == [15, 19, 20]


def test_sentence_encoder(world):
    embed = EmbedLanguage(encoder="use")
    schema = embed.map_schema(world.schema)
    vectors = embed(world.episode(0), world.schema)["language_embedding"]
    assert (
        vectors.shape == (13, 512)
        and "universal-sentence-encoder" in schema["language_embedding"].about.doc
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)
    assert vectors.flags.writeable  # what is kept for the next episode is not handed out


def test_an_embedding_is_replaced(world):
    first, second = EmbedLanguage(dim=8), EmbedLanguage(dim=16)
    schema = first.map_schema(world.schema)
    result = second(first(world.episode(0), world.schema), schema)
    assert check_one(result, second.map_schema(schema)) == []
