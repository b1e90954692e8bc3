//! `hookgate log show`: one event, from its first delivery to the last word of each handler.

use super::log::{note, state, verdict};
use super::print::{self, BOLD, DIM, Piece, plain};
use crate::model::{AttemptReport, DeliveryReport, EventReport, Output, TaskReport};

/// Prints it.
pub(super) fn tell(event: &EventReport) {
    print::line(&print::paint(format!("{}/{}", event.source, event.event_id), BOLD));
    print::fact("type", &event.event_type);
    let (word, style) = state(event.state);
    let reason = event.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    print::fact("state", format!("{}{reason}", print::paint(word, style)));
    print::fact("received", event.received_at);
    print::fact("provider", &event.provider);
    print::fact("id from", &event.id_from);
    if let Some(received) = &event.event_id_received {
        print::fact("id sent", received.escape_debug());
    }
    let secret = event.secret.as_ref().map_or_else(String::new, |secret| format!(", secret {secret}"));
    print::fact("proven by", format!("check {}{secret}", event.check));
    let kept = if event.body_kept { "" } else { ", purged" };
    print::fact("body", format!("{}, sha256 {}{kept}", print::size(event.body_bytes), event.body_sha256));
    print::fact("recorded", format!("[{}]", event.ack_status));
    print::fact("key", event.key);
    deliveries(event);
    event.tasks.iter().for_each(task);
}

fn deliveries(event: &EventReport) {
    print::line(&format!("\n{}", print::paint("deliveries", BOLD)));
    let row = |delivery: &DeliveryReport| {
        vec![
            plain(format!("  {}", delivery.received_at)),
            verdict(delivery.verdict),
            plain(delivery.status.map_or_else(String::new, |status| format!("[{status}]"))),
            plain(delivery.duration_us.map_or_else(String::new, print::millis)),
            plain(delivery.delivery_id.to_string()),
            plain(note(delivery)),
        ]
    };
    let rows = event.deliveries.iter().map(row).collect();
    print::line(&print::table(&["  TIME", "VERDICT", "STATUS", "TOOK", "DELIVERY", "NOTE"], rows, &[3]));
}

fn task(task: &TaskReport) {
    let mut title = format!("\n{} {}  {}", print::paint("handler", BOLD), print::paint(&task.handler, BOLD), task.state);
    if let Some(reason) = task.reason {
        title.push_str(&format!(" ({reason})"));
    }
    if let Some(due) = task.due_at {
        title.push_str(&format!(", due {due}"));
    }
    if task.unhandled {
        title.push_str(&format!(", {}: no handler has this name now", print::paint("unhandled", print::YELLOW)));
    }
    if task.redrives > 0 {
        title.push_str(&format!(", redriven {}x", task.redrives));
    }
    print::line(&title);
    if let Some(discarded) = &task.discarded {
        print::line(&format!("  discarded {} by {}: {}", discarded.at, discarded.by, discarded.reason));
    }
    if task.attempts.is_empty() {
        print::line(&print::paint("  not called yet", DIM));
        return;
    }
    let rows = task.attempts.iter().map(attempt).collect();
    print::line(&print::table(&["  #", "TIME", "OUTCOME", "STATUS", "TOOK", "ERROR"], rows, &[4]));
    task.attempts.iter().for_each(output);
}

/// What a command wrote, each line quoted and without the characters that would move a terminal's cursor.
fn output(attempt: &AttemptReport) {
    let Some(text) = attempt.output.as_deref().filter(|text| !text.is_empty()) else { return };
    let bytes = attempt.output_bytes.unwrap_or(text.len() as u64);
    let all = bytes <= Output::BYTES_MAX as u64;
    let cut = if all { String::new() } else { format!(", the end of {}", print::size(bytes)) };
    print::line(&print::paint(format!("  output of {}{cut}", attempt.number), DIM));
    for line in text.lines() {
        print::line(&format!("    {} {}", print::paint("|", DIM), clean(line)));
    }
}

fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        if c.is_control() && c != '\t' { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

fn answer(attempt: &AttemptReport) -> String {
    let status = attempt.status.map(|status| format!("[{status}]"));
    status
        .or_else(|| attempt.exit_code.map(print::exit_words))
        .or_else(|| attempt.signal.map(print::signal_words))
        .unwrap_or_default()
}

fn attempt(attempt: &AttemptReport) -> Vec<Piece> {
    vec![
        plain(format!("  {}", attempt.number)),
        plain(attempt.started_at.to_string()),
        plain(attempt.outcome.clone()),
        plain(answer(attempt)),
        plain(attempt.duration_us.map_or_else(String::new, print::millis)),
        plain(attempt.error.clone().unwrap_or_default()),
    ]
}
