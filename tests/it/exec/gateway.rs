//! Commands of a real gateway process, which is stopped, paused and killed.

use std::io::Read;
use std::net::TcpStream;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::helpers::PATIENCE;
use crate::helpers::cli::{Cli, Serving, fixtures};
use crate::helpers::gateway::SOURCES;
use crate::helpers::pulse::{Pulse, named_pipe};

const EVENT: &str = "stripe/evt_1SkXjOHGqT8wVn2RK2GAm0Da";

/// The first attempt opens `pulse`, says its numbers there and runs on, as do a child of it and one that has left its group and session.
/// Any other attempt writes whether something of the first one lives, and ends well.
const SCRIPT: &str = "#!/bin/sh
if [ $HOOKGATE_ATTEMPT = 1 ]; then
    exec 9> pulse
    trap '' TERM HUP INT
    (setsid sleep 600 &)
    sleep 600 &
    echo $$ $! > first
    echo $PPID >&9
    wait
else
    for pid in $(cat first); do kill -0 $pid 2> /dev/null && echo overlap >> meetings; done
    echo alone >> meetings
fi
";

/// A directory with this handler, whose command is [`SCRIPT`].
fn cli(handler: &str, top: &str) -> Cli {
    let config = format!("{top}\n{SOURCES}\n[handlers.deploy]\nsources = [\"stripe\"]\nexec = [\"./deploy.sh\"]\n{handler}\n");
    let cli = Cli::with_config(&config).env("PATH", "/usr/bin:/bin");
    cli.executable("deploy.sh", SCRIPT);
    cli
}

/// One event for it.
fn play(cli: &Cli, serving: &Serving) {
    cli.run(&["replay", &fixtures("stripe/invoice.paid"), "--to", &serving.url(), "--yes"]).expect(0);
}

/// What became of the event's one task.
fn task(cli: &Cli) -> Value {
    let shown = cli.run(&["log", "show", EVENT, "--json"]).expect(0);
    shown.json()[0]["tasks"][0].clone()
}

/// A gateway whose command runs: the number of its supervisor, which is told once the whole family is up.
fn running(cli: &Cli) -> (Serving, Pulse, Pid) {
    let pulse = Pulse::at(cli.path("pulse"));
    let serving = cli.serve(&[]);
    play(cli, &serving);
    let supervisor = pulse.line().parse().ok().and_then(Pid::from_raw).expect("a number");
    (serving, pulse, supervisor)
}

/// Makes the lease of the killed gateway one that has ended: only the command's own end keeps the next call from meeting it.
fn end_leases(cli: &Cli) {
    let conn = rusqlite::Connection::open(cli.path("hookgate.db")).expect("the database is there");
    assert_eq!(conn.execute("UPDATE task SET delay_us = 0, due_at_us = 0 WHERE state = 'running'", []), Ok(1));
}

#[test]
fn a_killed_gateway_takes_its_commands_and_all_that_they_started_along_and_the_next_call_meets_none() {
    let cli = cli("timeout = \"10m\"", "");
    let (serving, pulse, _) = running(&cli);
    serving.process.end(Signal::KILL);
    pulse.ends();
    end_leases(&cli);
    let serving = cli.serve(&[]);
    serving.process.stdout.line("attempt 2");
    assert_eq!(std::fs::read_to_string(cli.path("meetings")).expect("it was called"), "alone\n");
    let task = task(&cli);
    assert_eq!((&task["state"], &task["attempts"][0]["outcome"]), (&"done".into(), &"lost".into()), "{task}");
    serving.stop();
}

#[test]
fn a_stop_ends_commands_and_costs_them_no_attempt() {
    // Two attempts are all that it has.
    let cli = cli("timeout = \"10m\"\nretry = [\"0s\"]", "drain = \"100ms\"");
    let (serving, pulse, _) = running(&cli);
    let stopped = serving.stop().expect(0);
    assert!(pulse.has_ended(), "it was gone before the gateway was");
    assert!(stopped.stdout.contains("killed as the gateway stopped"), "{}", stopped.stdout);
    let waiting = task(&cli);
    assert_eq!((&waiting["state"], &waiting["attempts"][0]["outcome"]), (&"pending".into(), &"stopped".into()), "{waiting}");
    cli.executable("deploy.sh", "#!/bin/sh\n[ $HOOKGATE_ATTEMPT = 3 ]\n");
    let serving = cli.serve(&[]);
    serving.process.stdout.line("attempt 3");
    let done = task(&cli);
    let codes = [0, 1, 2].map(|at: usize| done["attempts"][at]["exit_code"].as_u64());
    assert_eq!((&done["state"], codes), (&"done".into(), [None, Some(1), Some(0)]), "{done}");
    serving.stop().expect(0);
}

#[test]
fn a_stop_lets_a_command_end_that_does_so_in_time() {
    let cli = cli("timeout = \"10m\"", "drain = \"20s\"");
    cli.executable("deploy.sh", "#!/bin/sh\nexec 9> pulse\necho $PPID >&9\nread line < go\nsleep 0.3\nexit 0\n");
    named_pipe(&cli.path("go"));
    let (serving, _pulse, _) = running(&cli);
    let mut idle = TcpStream::connect(serving.listen).expect("it listens");
    serving.process.signal(Signal::TERM);
    idle.set_read_timeout(Some(PATIENCE)).expect("a socket");
    assert_eq!(idle.read(&mut [0; 1]).expect("the stop has begun"), 0);
    std::fs::write(cli.path("go"), "go\n").expect("somebody reads");
    serving.process.ended().expect(0);
    assert_eq!(task(&cli)["state"], "done");
}

#[test]
fn a_gateway_that_does_not_get_to_run_does_not_give_its_command_more_time() {
    let cli = cli("timeout = \"1s\"\nretry = [\"1h\"]", "").in_own_group();
    let (serving, pulse, _) = running(&cli);
    serving.process.signal(Signal::STOP);
    pulse.ends();
    serving.process.signal(Signal::CONT);
    serving.process.stdout.line("killed at its deadline");
    assert_eq!(task(&cli)["attempts"][0]["outcome"], "timed-out");
    serving.stop();
}

#[test]
fn a_command_ends_with_its_supervisor_though_the_gateway_cannot_see_to_it() {
    let cli = cli("timeout = \"10m\"", "").in_own_group();
    cli.executable("deploy.sh", "#!/bin/sh\nexec 9> pulse\necho $PPID >&9\nexec sleep 600\n");
    let (serving, pulse, supervisor) = running(&cli);
    serving.process.signal(Signal::STOP);
    kill_process(supervisor, Signal::KILL).expect("it runs");
    pulse.ends();
    serving.process.end(Signal::KILL);
}

#[test]
fn final_exit_codes_are_dead_at_once_and_others_are_tried_again() {
    let cli = cli("final_statuses = [3]\nretry = [\"0s\", \"0s\"]", "");
    cli.executable(
        "deploy.sh",
        "#!/bin/sh\nprintf 'try \\033[31m%s\\n' $HOOKGATE_ATTEMPT\n[ $HOOKGATE_ATTEMPT = 1 ] && exit 75\nexit 3\n",
    );
    let serving = cli.serve(&[]);
    play(&cli, &serving);
    serving.process.stdout.line("[exit 75]");
    let last = serving.process.stdout.line("attempt 2");
    assert!(last.contains("[exit 3]") && last.contains("dead (handler-refused)"), "{last}");
    let task = task(&cli);
    let tries: Vec<_> = task["attempts"].as_array().expect("a list").iter().collect();
    assert_eq!((&task["state"], &task["reason"], tries.len()), (&"dead".into(), &"handler-refused".into(), 2), "{task}");
    for (attempt, (code, output)) in tries.iter().zip([(75, "try \u{1b}[31m1\n"), (3, "try \u{1b}[31m2\n")]) {
        assert_eq!((&attempt["outcome"], &attempt["exit_code"]), (&"exited".into(), &code.into()), "{attempt}");
        assert_eq!((&attempt["output"], &attempt["output_bytes"]), (&output.into(), &11.into()), "{attempt}");
    }
    let shown = cli.run(&["log", "show", EVENT]).expect(0).stdout;
    assert!(shown.contains("exited") && shown.contains("[exit 75]") && shown.contains("| try \\u{1b}[31m1\n"), "{shown}");
    serving.stop();
}

#[test]
fn a_command_of_the_gateway_inherits_only_what_the_config_names() {
    let cli = cli("env = [\"EXTRA\"]", "").env("LANG", "C.UTF-8").env("EXTRA", "1").env("OTHER", "canary");
    cli.executable("deploy.sh", "#!/bin/sh\nexec env > told\n");
    let home = cli.directory.path().display().to_string();
    let serving = cli.serve(&[]);
    play(&cli, &serving);
    serving.process.stdout.line("[exit 0]");
    let told = std::fs::read_to_string(cli.path("told")).expect("it ran");
    let mut names: Vec<_> = told.lines().filter(|line| !line.starts_with("HOOKGATE_") && !line.starts_with("PWD=")).collect();
    names.sort_unstable();
    assert_eq!(names, ["EXTRA=1", &format!("HOME={home}"), "LANG=C.UTF-8", "PATH=/usr/bin:/bin", "TZ=UTC"]);
    serving.stop();
}

#[test]
fn a_command_gets_no_socket_and_no_database_of_the_gateway() {
    let cli = cli("", "");
    cli.executable("deploy.sh", "#!/bin/sh\nls -l /proc/self/fd > told\n");
    let serving = cli.serve(&[]);
    play(&cli, &serving);
    serving.process.stdout.line("[exit 0]");
    let told = std::fs::read_to_string(cli.path("told")).expect("it ran");
    assert!(told.contains(" 0 -> pipe:") && !told.contains("socket:") && !told.contains("hookgate.db"), "{told}");
    serving.stop();
}

#[test]
fn what_starts_a_command_is_no_command_that_is_listed() {
    let help = Cli::new().run(&["--help"]).expect(0).stdout;
    assert!(!help.contains("__exec"), "{help}");
}
