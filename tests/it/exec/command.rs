//! One call of a command, as the gateway makes it: a real supervisor, a real command.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use hookgate::handler::exec::{Commands, ExecHandler, ExecHandlerSettings};
use hookgate::handler::{Call, Handler};
use hookgate::model::{CommandEnd, DeliveryId, Ending, EventId, HandlerName, Headers, Outcome, Output, SourceName};
use tempfile::TempDir;

use crate::helpers::gateway::NEW_YEAR;
use crate::helpers::pulse::Pulse;
use crate::helpers::soon;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// A handler of this command.
fn handler(command: &[&str], commands: &Commands) -> ExecHandler {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let env = [("PATH", "/usr/bin:/bin"), ("CANARY", "a b\"c\u{e9}")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let supervisor = PathBuf::from(env!("CARGO_BIN_EXE_hookgate"));
    ExecHandler::new(ExecHandlerSettings { command, env: env.to_vec(), supervisor }, commands.clone())
}

fn call(body: impl Into<Bytes>, timeout: Duration) -> Call {
    Call {
        handler: HandlerName::parse("deploy").expect("a name"),
        source: SourceName::parse("github").expect("a name"),
        provider: "github".into(),
        event_id: EventId::parse("a\"b\\c").expect("an id"),
        event_type: "pull_request.opened".into(),
        delivery_id: DeliveryId("01a20beb-f4df-7316-9cd9-b16b8ed8a4f2".parse().expect("a number")),
        received_at: NEW_YEAR,
        attempt: 3,
        redrives: 0,
        idempotency_key: "github/a\"b\\c/deploy".into(),
        headers: [("x-github-event".to_owned(), Bytes::from_static(b"pull_request"))].into_iter().collect(),
        body: body.into(),
        timeout,
        now: NEW_YEAR,
    }
}

/// What comes of a script, `$1` being `argument`.
async fn script(text: &str, argument: &str, call: Call) -> Outcome {
    let handler = handler(&["sh", "-c", text, "sh", argument], &Commands::default());
    soon("the end of the command", handler.call(call)).await
}

fn end(outcome: Outcome) -> CommandEnd {
    match outcome {
        Outcome::Command(end) => end,
        other => panic!("{other:?}"),
    }
}

/// A pipe in a directory of its own, whose path scripts get as `$1`.
fn pulse() -> (TempDir, Pulse) {
    let directory = tempfile::tempdir().expect("a directory");
    let pulse = Pulse::at(directory.path().join("pulse"));
    (directory, pulse)
}

#[tokio::test]
async fn a_command_gets_the_event_and_its_own_variables_and_nothing_else() {
    let handler = handler(&["env"], &Commands::default());
    let told = |outcome| end(outcome).output.text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let first = told(soon("the command", handler.call(call("{}", LONG))).await);
    let expected = [
        "PATH=/usr/bin:/bin",
        "CANARY=a b\"c\u{e9}",
        "HOOKGATE_EVENT_ID=github/a\"b\\c",
        "HOOKGATE_SOURCE=github",
        "HOOKGATE_PROVIDER=github",
        "HOOKGATE_EVENT_TYPE=pull_request.opened",
        "HOOKGATE_DELIVERY_ID=01a20beb-f4df-7316-9cd9-b16b8ed8a4f2",
        "HOOKGATE_ATTEMPT=3",
        "HOOKGATE_RECEIVED_AT=2026-01-01T00:00:00.000Z",
        "HOOKGATE_DEADLINE=600",
        "HOOKGATE_IDEMPOTENCY_KEY=github/a\"b\\c/deploy",
    ];
    let expected: BTreeSet<_> = expected.map(str::to_owned).into();
    assert_eq!(first, expected);
    let again = told(soon("the command", handler.call(Call { redrives: 2, ..call("{}", LONG) })).await);
    assert_eq!(again.difference(&expected).collect::<Vec<_>>(), ["HOOKGATE_REDRIVE=2"]);
}

#[tokio::test]
async fn a_command_gets_the_bodys_exact_bytes_and_then_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let got = directory.path().join("got");
    let all: Vec<u8> = (0..1 << 20).map(|at: u32| u8::try_from((at / 251 + at) % 256).expect("a byte")).collect();
    for body in [all, b"\0\xff\n".to_vec(), Vec::new()] {
        let outcome = script("cat > \"$1\"", got.to_str().expect("text"), call(body.clone(), LONG)).await;
        assert_eq!(end(outcome).ending, Ending::Exited(0));
        assert!(std::fs::read(&got).expect("a file") == body, "{} bytes", body.len());
    }
}

#[tokio::test]
async fn a_command_that_does_not_read_its_body_has_not_failed() {
    for text in ["exit 0", "exec 0<&-; exit 0", "head -c 1 > /dev/null"] {
        assert_eq!(end(script(text, "", call(vec![b'x'; 1 << 20], LONG)).await).ending, Ending::Exited(0), "{text}");
    }
}

#[tokio::test]
async fn how_a_command_ends_is_told_as_it_was() {
    for code in [0, 1, 2, 75, 126, 127, 128, 143, 255] {
        assert_eq!(end(script(&format!("exit {code}"), "", call("", LONG)).await).ending, Ending::Exited(code));
    }
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("USR1", 10)] {
        let ended = end(script(&format!("kill -{signal} $$"), "", call("", LONG)).await);
        assert_eq!(ended.ending, Ending::Signalled(number), "by somebody else");
        let group = end(script(&format!("sleep 600 & kill -{signal} 0; wait"), "", call("", LONG)).await);
        assert_eq!(group.ending, Ending::Signalled(number), "with its whole group");
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_told_apart_from_one_that_failed() {
    let directory = tempfile::tempdir().expect("a directory");
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").expect("written");
    for (program, why) in
        [("./not-there", "No such file"), ("not-there", "No such file"), (plain.to_str().expect("text"), "denied")]
    {
        let outcome = soon("the answer", handler(&[program], &Commands::default()).call(call("{}", LONG))).await;
        let Outcome::Broken(reason) = outcome else { panic!("{program}: {outcome:?}") };
        assert!(reason.starts_with("not started") && reason.contains(program) && reason.contains(why), "{reason}");
    }
}

#[tokio::test]
async fn what_it_writes_to_both_outputs_is_kept_in_order_and_only_the_end_of_it() {
    let few = end(script("echo one; echo two >&2; echo three", "", call("", LONG)).await).output;
    assert_eq!((few.text.as_str(), few.bytes), ("one\ntwo\nthree\n", 14));
    let many = end(script("head -c 3000000 /dev/zero; printf '\\377end'", "", call("", LONG)).await).output;
    assert_eq!(many.bytes, 3_000_004);
    assert!(many.text.len() <= Output::BYTES_MAX && many.text.ends_with("\0\u{fffd}end"));
}

#[tokio::test]
async fn a_command_that_writes_without_end_is_read_until_its_deadline() {
    let ended = end(script("exec yes", "", call("", Duration::from_millis(500))).await);
    assert_eq!(ended.ending, Ending::TimedOut);
    assert!(ended.output.bytes > 1 << 20, "it was never made to wait: {}", ended.output.bytes);
    assert!(ended.output.text.len() <= Output::BYTES_MAX);
}

/// Three that hold the pipe: the command, a child, and one that has left group, session and parent.
const FAMILY: &str = "exec 9>\"$1\"; trap '' TERM HUP INT; (setsid sleep 600 &) ; sleep 600 & echo up >&9";

#[tokio::test]
async fn at_its_deadline_a_command_ends_with_all_that_it_started_before_that_is_told() {
    let (_directory, pulse) = pulse();
    let path = pulse.path().to_str().expect("text");
    let ended = end(script(&format!("{FAMILY}; wait"), path, call("", Duration::from_secs(1))).await);
    assert_eq!((ended.ending, pulse.has_ended()), (Ending::TimedOut, true));
    assert_eq!(pulse.line(), "up", "it did begin");
}

#[tokio::test]
async fn what_a_command_leaves_running_ends_with_it_and_holds_up_nothing() {
    let (_directory, pulse) = pulse();
    let ended = end(script(FAMILY, pulse.path().to_str().expect("text"), call("", LONG)).await);
    assert_eq!((ended.ending, pulse.has_ended()), (Ending::Exited(0), true));
    assert_eq!(pulse.line(), "up", "it did begin");
}

#[tokio::test]
async fn commands_that_are_ended_as_the_gateway_stops_are_gone_when_that_is_told() {
    let (_directory, pulse) = pulse();
    let commands = Commands::default();
    let text = format!("echo before; {FAMILY}; wait");
    let handler = handler(&["sh", "-c", &text, "sh", pulse.path().to_str().expect("text")], &commands);
    assert!(!commands.any());
    let stop = async {
        let up = tokio::task::spawn_blocking(move || (pulse.line(), pulse));
        let (_up, pulse) = soon("the start", up).await.expect("no panic");
        assert!(commands.any());
        soon("the end of all", commands.end()).await;
        assert!(pulse.has_ended() && !commands.any());
    };
    let (outcome, ()) = tokio::join!(handler.call(call("", LONG)), stop);
    let ended = end(outcome);
    assert_eq!((ended.ending, ended.output.text.as_str()), (Ending::Stopped, "before\n"));
    let late = end(soon("an answer", handler.call(call("", LONG))).await);
    assert_eq!((late.ending, late.output.bytes), (Ending::Stopped, 0), "none is started any more");
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_its_command() {
    let (_directory, pulse) = pulse();
    let text = format!("{FAMILY}; wait");
    let handler = handler(&["sh", "-c", &text, "sh", pulse.path().to_str().expect("text")], &Commands::default());
    let up = tokio::task::spawn_blocking(move || (pulse.line(), pulse));
    let (_up, pulse) = tokio::select! {
        outcome = handler.call(call("", LONG)) => panic!("{outcome:?}"),
        up = up => up.expect("no panic"),
    };
    tokio::task::spawn_blocking(move || pulse.ends()).await.expect("it ends");
}

#[tokio::test]
async fn a_command_whose_supervisor_is_killed_ends_too_and_is_tried_again() {
    let (_directory, pulse) = pulse();
    let text = "exec 9>\"$1\"; sleep 600 & echo up >&9; kill -9 $PPID; wait";
    let outcome = script(text, pulse.path().to_str().expect("text"), call("", LONG)).await;
    assert!(matches!(&outcome, Outcome::Broken(why) if why.contains("supervisor")), "{outcome:?}");
    tokio::task::spawn_blocking(move || pulse.ends()).await.expect("it ends");
}

#[tokio::test]
async fn a_supervisor_that_is_stopped_does_not_hold_a_call_up() {
    let (_directory, pulse) = pulse();
    let text = "exec 9>\"$1\"; sleep 600 & echo up >&9; kill -STOP $PPID; wait";
    let outcome = script(text, pulse.path().to_str().expect("text"), call("", Duration::from_millis(100))).await;
    assert_eq!(outcome.code(), "timed-out");
    tokio::task::spawn_blocking(move || pulse.ends()).await.expect("it ends");
}

#[tokio::test]
async fn a_command_has_no_terminal_and_a_group_of_its_own() {
    let text = "ps -o pid=,pgid=,sid=,tty= -p $$ | tr -s ' ' | sed 's/^ //'; echo $$";
    let output = end(script(text, "", call("", LONG)).await).output.text;
    let (numbers, own) = output.trim().split_once('\n').expect("two lines");
    assert_eq!(numbers.trim(), format!("{own} {own} {own} ?"));
}

#[tokio::test]
async fn without_its_supervisor_a_call_is_not_the_commands_fault() {
    let settings =
        ExecHandlerSettings { command: vec!["true".to_owned()], env: Vec::new(), supervisor: PathBuf::from("/nowhere/hookgate") };
    let outcome = ExecHandler::new(settings, Commands::default()).call(call("", LONG)).await;
    assert!(matches!(outcome, Outcome::Unsent(_)), "{outcome:?}");
}

#[test]
fn settings_and_handler_show_no_value_and_no_argument() {
    let handler = handler(&["./x", "canary"], &Commands::default());
    for shown in [format!("{handler:?}"), handler.target()] {
        assert!(shown.contains("./x") && !shown.contains("canary") && !shown.contains("CANARY"), "{shown}");
    }
    let kept: Headers = call("", LONG).headers;
    assert!(kept.iter().next().is_some(), "the headers that a command does not get were there");
}

#[tokio::test]
async fn a_supervisor_that_is_stopped_does_not_hold_the_gateways_stop_up() {
    let (_directory, pulse) = pulse();
    let commands = Commands::default();
    let text = "exec 9>\"$1\"; sleep 600 & kill -STOP $PPID; echo up >&9; wait";
    let handler = handler(&["sh", "-c", text, "sh", pulse.path().to_str().expect("text")], &commands);
    let stop = async {
        let up = tokio::task::spawn_blocking(move || (pulse.line(), pulse));
        let (_up, pulse) = soon("the start", up).await.expect("no panic");
        soon("the end of all", commands.end()).await;
        tokio::task::spawn_blocking(move || pulse.ends()).await.expect("it ends");
    };
    let (outcome, ()) = tokio::join!(handler.call(call("", LONG)), stop);
    assert_eq!(end(outcome).ending, Ending::Stopped);
}
