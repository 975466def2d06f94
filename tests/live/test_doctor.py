"""`python -m rwsplit doctor` on real servers: what is wrong is said, and what is fine as well."""

import pytest

from rwsplit.__main__ import main
from rwsplit._shell.doctor import BROKEN, DRIVERS, FINE, WARNING


@pytest.fixture
def url(cluster):
    options = cluster.connect_options
    replicas = ",".join(options["replicas"])
    cluster.wait_caught_up()
    return (
        f"rwsplit://{options['user']}:{options['password']}@{options['host']}:{options['port']}"
        f"/{options['database']}?replicas={replicas}"
    )


def told(capsys, *arguments):
    status = main(["doctor", *arguments])
    return status, capsys.readouterr().out


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_cluster_that_is_fine(cluster, url, driver, capsys):
    status, text = told(capsys, url, "--driver", driver)
    assert status == FINE, text
    assert "!" not in text
    version = cluster.flavor if cluster.flavor == "mariadb" else "mysql"
    assert f"primary 127.0.0.1:{cluster.primary.port}: {version}" in text
    assert "TRACKS_WRITES" in text.split("without")[0]
    assert ("HANDS_OVER" in text.split("without")[1]) == (driver != "pymysql")
    assert text.count("usable") == len(cluster.replicas)
    assert cluster.connect_options["password"] not in text.replace("rwsplit", "")


def test_a_replica_that_is_not_there(cluster, url, capsys):
    status, text = told(capsys, f"{url},127.0.0.1:1")
    assert status == WARNING
    assert "! replica 127.0.0.1:1" in text
    assert text.count("usable") == len(cluster.replicas)


def test_a_server_that_is_no_replica(cluster, url, capsys):
    status, text = told(capsys, f"{url},localhost:{cluster.primary.port}")
    assert status == WARNING
    # Who finds it out first, the monitor or the read, says it in words of its own.
    assert f"! replica localhost:{cluster.primary.port}" in text
    assert "it is the primary itself" in text


def test_no_replicas(cluster, url, capsys):
    status, text = told(capsys, f"{url.partition('?')[0]}?replicas=")
    assert status == WARNING
    assert "! no replicas" in text


def test_the_primary_can_not_be_reached(cluster, url, capsys):
    password = cluster.connect_options["password"]
    wrong = url.replace(f":{password}@", ":wrong@")
    status, text = told(capsys, wrong)
    assert status == BROKEN
    assert text.startswith("! primary: (1045)")
    assert "wrong" not in text
    status, text = told(capsys, "rwsplit://app@127.0.0.1:1/shop?replicas=")
    assert (status, text[:17]) == (BROKEN, "! primary: (2003)")


def test_reads_that_are_switched_off(cluster, url, capsys, monkeypatch):
    monkeypatch.setenv("RWSPLIT_READS", "primary")
    status, text = told(capsys, url)
    assert status == WARNING
    assert "! reads run on the primary: RWSPLIT_READS=primary" in text


def test_a_url_that_is_none(capsys):
    with pytest.raises(SystemExit):
        main(["doctor", "nothing"])
    assert "URL: expected" in capsys.readouterr().err
