import pytest
from hypothesis import given
from hypothesis import strategies as st

from serlds.datasets.errors import UsageError
from serlds.pipelines.transforms.chain_file import read_chain
from serlds.pipelines.transforms.text import (
    parse_transform,
    parse_transforms,
    transform_to_text,
)


@pytest.mark.parametrize(
    "text",
    [
        "only_successful",
        "drop_noops:threshold=0.001,where=ends,actions=delta",
        "resize_images:height=64,width=48,field=observation/image/front,fit=crop",
        "rename_field:old=a/b,new=c",
        "drop_field:path=intervened",
        "select_dimensions:field=action,dims=0 1 6",
        "keep_if:where=collector != 'random' and num_steps >= 3",
        'keep_if:where="task in (\'pick\', \\"place\\")"',
        "sparse_reward:terminate=true",
    ],
)
def test_text_reads_back(text):
    transform = parse_transform(text)
    assert transform_to_text(transform) == text
    assert parse_transform(transform_to_text(transform)) == transform


def test_defaults_are_written_out():
    written = transform_to_text(parse_transform("drop_noops"))
    assert written == "drop_noops:threshold=0.0001,where=everywhere,actions=delta"


@given(st.text().filter(lambda text: text.strip() and not set(text) & set("{}\0")))
def test_any_text_survives_as_a_value(template):
    transform = parse_transform("set_language:template=x")
    transform = type(transform)(template=template)
    assert parse_transform(transform_to_text(transform)).template == template


@pytest.mark.parametrize(
    ("quoted", "value"),
    [
        ('"a, b = c"', "a, b = c"),
        ("'a, \"b\"'", 'a, "b"'),
        (r'"a \"b\" \\ c"', r'a "b" \ c'),
        ("a = 'b'", "a = 'b'"),
        (' "a" ', "a"),
    ],
)
def test_quotation_marks(quoted, value):
    text = f"set_language:template={quoted},missing=keep"
    assert parse_transform(text).template == value


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mirror", "there is no transform 'mirror'; the transforms are"),
        ("drop_noops:treshold=1", "it has threshold, where, actions"),
        ("drop_noops:threshold", "expected parameter=value"),
        ("drop_noops:threshold=1,", "after the last comma"),
        ("drop_noops:threshold=1,threshold=2", "given twice"),
        ("drop_noops:threshold=low", "drop_noops: threshold: expected number, found 'low'"),
        ("drop_noops:threshold=nan", "expected number"),
        ("drop_noops:threshold=0", "expected above 0"),
        ("resize_images:height=64", "missing: width"),
        ("resize_images:height=64,width=0", "at least 1 pixel"),
        ("resize_images:height=6.5,width=1", "height: expected whole number"),
        ("resize_images:height=64,width=64,fit=squeeze", "stretch | crop | pad"),
        ("rename_field:old=a,new=b//c", "expected a path"),
        ("sparse_reward:terminate=yes", "expected true or false"),
        ("select_dimensions:field=action,dims=0 one", "whole numbers with spaces"),
        ("select_dimensions:field=action,dims=0 0", "each once"),
        ("keep_if:where=task in ('a', 'b')", "needs quotation marks"),
        ('keep_if:where="success', "needs quotation marks"),
        ("subsample:actions=absolute", "either every"),
        ("subsample:actions=absolute,every=2,hz=5", "either every"),
        ("subsample:every=2", "missing: actions"),
        ("to_delta_actions:scale_m=0.1", "together with scale_m"),
        ("to_delta_actions:scale_m=0.1,scale_rad=1,rotation=rot6d", "rotvec or euler_xyz"),
        ("to_delta_actions:rotation=none", "orientation_as"),
        ("to_delta_actions:clip=true", "without a scale"),
        ("encode_images:encoding=jpeg,quality=101", "1 to 100"),
        ("add_field:path=x,value=tall", "a number or a list"),
        ("add_field:path=x,value=300,dtype=uint8", "expected uint8"),
        ('add_field:path=x,value="[[1],[1,2]]"', "a number or a list"),
        ("set_language:by=task", "either a template or a table"),
        ("set_language:template={task.__class__}", "a name of metadata in braces"),
        ("set_language:template={task", "expected '}'"),
        ("set_language:template={}", "a name of metadata in braces"),
        ("set_language:table=/no/such.json", "cannot be read"),
        ("embed_language:encoder=use,dim=100", "512 with encoder=use"),
        ("chunk_actions:horizon=0", "at least 1"),
        ("add_nstep:n=3,gamma=1.5", "above 0, at most 1"),
    ],
)
def test_wrong_text_is_refused_with_help(text, complaint):
    with pytest.raises(UsageError) as error:
        parse_transforms([text])
    assert complaint in str(error.value)


CHAIN = """
# From raw to training.
[[transform]]
name = "keep_if"
where = "success and task in ('pick', 'place')"

[[transform]]
name = "select_dimensions"
field = "action"
dims = [0, 1, 6]

[[transform]]
name = "drop_noops"
threshold = 1
"""


def test_chain_file(tmp_path):
    path = tmp_path / "chain.toml"
    path.write_text(CHAIN)
    assert read_chain(path) == parse_transforms(
        [
            "keep_if:where=\"success and task in ('pick', 'place')\"",
            "select_dimensions:field=action,dims=0 1 6",
            "drop_noops:threshold=1",
        ]
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[[transform]\n", "not TOML"),
        ("", "expected tables [[transform]] alone, found nothing"),
        ("[transform]\nname='only_successful'", "expected tables"),
        (CHAIN + "[other]\nx=1", "found other"),
        (CHAIN + "[[transform]]\n", 'transform 4: expected a name = "..."'),
        (CHAIN + "[[transform]]\nname='mirror'", "transform 4: there is no transform 'mirror'"),
        (
            CHAIN + "[[transform]]\nname='drop_noops'\nx=1",
            "transform 4: drop_noops: drop_noops has no",
        ),
        (CHAIN + "[[transform]]\nname='drop_noops'\nthreshold='1'", "expected number, found '1'"),
        (CHAIN + "[[transform]]\nname='sparse_reward'\nterminate=1", "expected true or false"),
        (CHAIN + "[[transform]]\nname='drop_field'", "missing: path"),
        ("transform = 3", "expected tables"),
    ],
)
def test_wrong_chain_file_is_refused_with_its_place(tmp_path, content, complaint):
    path = tmp_path / "chain.toml"
    path.write_text(content)
    with pytest.raises(UsageError) as error:
        read_chain(path)
    assert str(error.value).startswith(str(path)) and complaint in str(error.value)


def test_chain_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_chain(tmp_path / "none.toml")
