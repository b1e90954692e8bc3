//! `hookgate redrive` by ID.

use serde_json::json;

use super::{send, stripe, target};
use crate::helpers::cli::Cli;
use crate::helpers::gateway::{SOURCES, handler};
use crate::helpers::target::Reply;

#[test]
fn redrive_works_on_a_running_gateway_and_without_one() {
    let target = target(vec![Reply::status(410), Reply::status(410)]);
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "")));
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    serving.process.stdout.line("dead (handler-refused); hookgate redrive stripe/evt_1");
    let told = cli.run(&["redrive", "stripe/evt_1", "--json"]).expect(0);
    assert_eq!(told.json(), [json!({ "v": 1, "source": "stripe", "event_id": "evt_1", "tasks": 1 })]);
    serving.process.stdout.line("attempt 2");
    cli.run(&["redrive", "stripe/evt_2"]).fails(1, &["no event"]);
    cli.run(&["redrive", "stripe/evt_1", "--to-handler", "nobody"]).fails(2, &["there is no handler `nobody`", "billing"]);
    let no_task = |cli: &Cli| cli.run(&["redrive", "stripe/evt_1", "--handler", "nobody"]);
    no_task(&cli).fails(2, &["nobody", "billing"]);
    serving.stop().expect(0);
    no_task(&cli).fails(2, &["nobody", "billing"]);
    cli.run(&["redrive", "stripe/evt_1", "--to-handler", "nobody"]).fails(2, &["there is no handler `nobody`", "billing"]);
    cli.run(&["redrive", "stripe/evt_2"]).fails(1, &["no event"]);
    let told = cli.run(&["redrive", "stripe/evt_1"]).expect(0);
    assert!(told.stdout.contains("1 task is due now") && told.stderr.contains("no gateway runs now"), "{told:?}");
    assert!(cli.run(&["redrive", "stripe/evt_1"]).expect(0).stdout.contains("nothing to do"));
    let serving = cli.serve(&[]);
    serving.process.stdout.line("attempt 3  [200]");
    serving.stop().expect(0);
    assert_eq!(target.count(), 3);
    let story = cli.run(&["log", "show", "evt_1", "--json"]).expect(0).json().remove(0);
    assert_eq!((&story["state"], &story["tasks"][0]["redrives"]), (&json!("done"), &json!(2)));
}

#[test]
fn several_events_are_redriven_at_once_and_an_unknown_one_stops_them_all() {
    let target = target(vec![Reply::status(410), Reply::status(410)]);
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "concurrency = 1")));
    let serving = cli.serve(&[]);
    for id in ["evt_1", "evt_2"] {
        send(&serving, &stripe(id));
        serving.process.stdout.line(&format!("dead (handler-refused); hookgate redrive stripe/{id}"));
    }
    cli.run(&["redrive", "stripe/evt_1", "stripe/evt_3", "stripe/evt_2"]).fails(1, &["no event `stripe/evt_3`"]);
    let dead = cli.run(&["log", "--json", "--state", "dead"]).expect(0).json();
    assert_eq!(dead.len(), 2, "nothing was redriven");
    let told = cli.run(&["redrive", "stripe/evt_1", "evt_2", "--json"]).expect(0).json();
    assert!(told.iter().all(|row| row["tasks"] == 1) && told.len() == 2, "{told:?}");
    for id in ["evt_1", "evt_2"] {
        serving.process.stdout.line(&format!("stripe/{id}  attempt 2  [200]"));
    }
    serving.stop().expect(0);
    assert_eq!(target.count(), 4);
}
