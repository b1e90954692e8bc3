//! What `hookgate serve` does not start with: a port that is taken, a database that is in use, lost, damaged or too new.

use std::net::TcpListener;

use super::{send, stripe};
use crate::helpers::cli::Cli;
use crate::helpers::gateway::SOURCES;

#[test]
fn a_port_that_is_taken_is_exit_3_and_says_what_to_do() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let cli = Cli::new();
    cli.run(&["serve", "--listen", &address, "--admin-listen", "127.0.0.1:0"])
        .fails(3, &[&address, "--listen", "another process"]);
    let cli = Cli::new();
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", &address]).fails(3, &[&address, "--admin-listen"]);
}

#[test]
fn a_database_that_another_gateway_has_is_exit_3_and_names_its_pid() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let pid = format!("pid {}", serving.process.pid());
    let any = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    cli.run(&any).fails(3, &[&pid, "stop it first"]);
    let other_spelling = format!("{}/./hookgate.db", cli.directory.path().display());
    cli.run(&[&any[..], &["--database", &other_spelling]].concat()).fails(3, &[&pid]);
    assert_eq!(send(&serving, &stripe("evt_1")).status, 200, "the holder is not harmed");
    serving.stop().expect(0);
    cli.serve(&[]).stop().expect(0);
}

#[test]
fn a_database_that_a_command_has_open_is_exit_3_and_names_no_gateway() {
    let cli = Cli::new();
    cli.serve(&[]).stop().expect(0);
    let clock = std::sync::Arc::new(hookgate::clock::SystemClock::new());
    // As an offline command has it: in this process.
    let _held = hookgate::ledger::sqlite::SqliteLedger::open_offline(cli.path("hookgate.db"), clock).expect("nobody has it");
    let holder = format!("another hookgate process (pid {})", std::process::id());
    for command in [&["log"][..], &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]] {
        let told = cli.run(command).fails(3, &[&holder]);
        assert!(!told.stderr.contains("gateway"), "{}", told.stderr);
    }
}

#[test]
fn a_directory_that_is_missing_is_exit_3() {
    let cli = Cli::new();
    let any = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--database", "missing/hookgate.db"];
    cli.run(&[&["serve"], &any[..]].concat()).fails(3, &["missing", "directory"]);
    cli.write("hookgate.toml", SOURCES);
    cli.run(&[&["serve"], &any[..]].concat()).fails(3, &["missing/hookgate.db", "directory"]);
}

#[test]
fn a_database_of_a_newer_schema_is_exit_4() {
    let cli = Cli::new();
    cli.serve(&[]).stop().expect(0);
    let conn = rusqlite::Connection::open(cli.path("hookgate.db")).expect("the database is there");
    conn.execute("INSERT INTO migration SELECT 9999, 'from the future', sha256, applied_at_us FROM migration LIMIT 1", [])
        .expect("a row");
    drop(conn);
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(4, &["newer than this program"]);
    cli.run(&["log"]).fails(4, &["newer than this program"]);
}

#[test]
fn a_database_that_is_lost_is_exit_4_until_the_operator_says_so() {
    let any = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for replacement in [None, Some("")] {
        let cli = Cli::new();
        let serving = cli.serve(&[]);
        assert_eq!(send(&serving, &stripe("evt_1")).status, 200);
        serving.stop().expect(0);
        std::fs::remove_file(cli.path("hookgate.db")).expect("it is there");
        if let Some(content) = replacement {
            cli.write("hookgate.db", content);
        }
        cli.run(&any).fails(4, &["hookgate.db", "--new-database"]);
        cli.run(&any).fails(4, &["--new-database"]);
        let serving = cli.serve(&["--new-database"]);
        serving.process.stdout.line("new database");
        assert_eq!(send(&serving, &stripe("evt_1")).header("idempotent-replayed"), None);
        serving.stop().expect(0);
        cli.serve(&[]).stop().expect(0);
    }
}

#[test]
fn another_databases_file_in_its_place_is_exit_4() {
    let [ours, other] = [Cli::new(), Cli::new()];
    for cli in [&ours, &other] {
        cli.serve(&[]).stop().expect(0);
    }
    std::fs::copy(other.path("hookgate.db"), ours.path("hookgate.db")).expect("both are there");
    ours.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(4, &["--new-database"]);
}

#[test]
fn a_damaged_database_is_exit_4() {
    let cli = Cli::new();
    cli.serve(&[]).stop().expect(0);
    std::fs::write(cli.path("hookgate.db"), vec![7; 64 << 10]).expect("it is there");
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(4, &["damaged"]);
}

#[test]
fn require_database_refuses_a_first_start() {
    let cli = Cli::with_config(&format!("require_database = true\n{SOURCES}"));
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(3, &["there is no database"]);
    assert!(!cli.path("hookgate.db").exists());
}
