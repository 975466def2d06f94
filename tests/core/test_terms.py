"""On what terms reads are split."""

from rwsplit._core.cause import ONLY_ASKED, Cause, Reason
from rwsplit._core.session.terms import Terms
from rwsplit._core.setup.options import Choice, Options

OFF = Reason("switched off", Cause.SWITCHED_OFF)


def terms(never=None, **options):
    return Terms(Options()._replace(**options), never)


def test_a_connection_says_what_its_options_say():
    ours = terms(consistency="global", max_staleness=3.0, primary_share=0.5)
    assert (ours.level, ours.max_staleness, ours.primary_share) == ("global", 3.0, 0.5)
    assert ours.splits
    assert not ours.may_be_free(has_gtids=True)


def test_a_block_goes_before_the_connection_and_what_has_it_in_hand_before_both():
    ours = terms()
    ours.choose(Choice(consistency="eventual"))
    assert ours.level == "eventual"
    before = ours.say_in_block("global")
    assert ours.level == "global"
    ours.say("session")
    assert ours.level == "global"
    ours.say_in_block(before)
    assert ours.level == "eventual"
    ours.choose(None)
    assert ours.level == "session"


def test_a_block_may_choose_a_group_and_a_staleness_of_its_own():
    ours = terms(max_staleness=3.0)
    ours.choose(Choice(group="reports", max_staleness=60.0))
    assert (ours.group, ours.max_staleness) == ("reports", 60.0)
    ours.choose(None)
    assert (ours.group, ours.max_staleness) == (None, 3.0)


def test_who_switches_splitting_off_has_the_last_word():
    ours = terms(never=OFF)
    ours.choose(Choice(reads="replicas"))
    assert ours.unsplit == OFF
    ours.switch(None)
    assert ours.splits
    ours.choose(Choice(reads="primary"))
    assert ours.unsplit is not None
    ours.choose(None)
    assert ours.splits


def test_a_connection_that_only_reads_there_when_asked_can_be_asked():
    ours = terms(never=ONLY_ASKED)
    assert not ours.splits
    ours.choose(Choice(reads="replicas"))
    assert ours.splits
    ours.choose(Choice(reads="primary"))
    assert ours.unsplit == ONLY_ASKED


def test_a_read_is_free_where_nothing_must_be_asked_or_chosen():
    assert terms().may_be_free(has_gtids=True)
    assert not terms().may_be_free(has_gtids=False)
    assert terms(consistency="eventual").may_be_free(has_gtids=False)
    for asked in ({"max_staleness": 1.0}, {"primary_share": 0.1}, {"consistency": "global"}):
        assert not terms(**asked).may_be_free(has_gtids=True)
