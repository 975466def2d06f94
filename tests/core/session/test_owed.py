"""What a session owes its primary."""

from rwsplit._core.session.owed import Owed


def test_nothing_is_owed_at_first():
    owed = Owed(["SET SESSION session_track_schema=DEFAULT"])
    assert owed.nothing
    assert owed.own_tracking == ["SET SESSION session_track_schema=DEFAULT"]


def test_anything_of_it_is_something():
    for owe in (
        lambda owed: owed.send_first([b"BEGIN"]),
        lambda owed: owed.note_pending(True),
        lambda owed: owed.note_foreign("r1", frozenset({"a"})),
        lambda owed: owed.show_tracking(True),
    ):
        owed = Owed([])
        owe(owed)
        assert not owed.nothing


def test_what_was_sent_is_not_owed():
    owed = Owed([])
    first = [b"BEGIN"]
    owed.send_first(first)
    owed.sent()
    assert owed.nothing
    assert first == [b"BEGIN"]  # who sends them still has them


def test_what_replicas_have_set_is_taken_in_order():
    owed = Owed([])
    owed.note_foreign("r1", frozenset({"a"}))
    owed.note_foreign("r2", frozenset({"a"}))
    assert owed.take_foreign() == ("r1", {"a"})
    assert owed.take_foreign() == ("r2", {"a"})
    assert owed.nothing


def test_a_lost_connection_owes_no_results_and_takes_no_more_statements():
    owed = Owed([])
    owed.send_first([b"BEGIN"])
    owed.note_pending(True)
    owed.note_foreign("r1", frozenset({"a"}))
    owed.show_tracking(True)
    owed.lose()
    assert (owed.unsent, owed.pending, owed.shows_tracking) == ([], False, False)
    # What a replica has set is still there.
    assert not owed.nothing


def test_the_application_s_own_tracking_is_kept():
    owed = Owed([])
    owed.keep_tracking(["SET SESSION session_track_schema='0'"])
    assert owed.own_tracking == ["SET SESSION session_track_schema='0'"]
    assert repr(owed) == "<Owed unsent=[] pending=False>"
