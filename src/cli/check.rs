//! `hookgate check`: what the configuration means, in sentences. Secrets are named by their fingerprints.

use std::time::Duration;

use clap::Args;

use super::exit::{Failure, OK};
use super::{Global, print, setup};
use crate::config::{HandlerKind, HandlerSettings, Keys, NamedSecret, RetentionSettings, Settings, SourceSettings};
use crate::model::Fingerprint;
use crate::verify::fingerprint;

const EXAMPLES: &str = "Examples:
  hookgate check
  hookgate check --config /etc/hookgate/hookgate.toml
  hookgate check --json | jq -r 'select(.pending) | .source'

It changes nothing and calls nobody. Secrets are named by their fingerprints. Warnings go to stderr and leave the exit code at 0; an \
error is exit code 2.";

/// `check`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// One JSON object for each source and handler
    #[arg(long)]
    json: bool,
}

/// Reads the configuration and says what it means.
pub(super) fn run(global: &Global, args: &CheckArgs) -> Result<u8, Failure> {
    let settings = setup::settings(&setup::flags(global), Keys::Look)?;
    if args.json {
        json(&settings)?;
    } else {
        say(&settings);
    }
    settings.warnings.iter().for_each(|warning| print::warning(warning));
    Ok(OK)
}

fn say(settings: &Settings) {
    match &settings.file {
        Some(path) => print::line(&format!("{} is good.", path.display())),
        None => print::line("No config file: the demo on loopback."),
    }
    print::line(&format!(
        "Deliveries come to {}, the admin listener is {}{}, the database {}.",
        settings.listen,
        settings.admin_listen,
        settings.admin_token.as_ref().map_or_else(String::new, |token| format!(" (token {})", fingerprint(token))),
        settings.database.display()
    ));
    print::line(&retention_sentence(settings));
    for source in &settings.sources {
        let base = settings.public_url.as_deref().unwrap_or_default();
        print::line(&format!("\n{}  POST {base}/hooks/{}", print::paint(&source.name, print::BOLD), source.name));
        print::line(&format!("    {}", sentence(source)));
        source.secrets.iter().for_each(|secret| print::line(&format!("    {}", secret_sentence(source, secret))));
    }
    for handler in &settings.handlers {
        print::line(&format!("\n{}  {}", print::paint(&handler.name, print::BOLD), handler_target(handler)));
        print::line(&format!("    {}", handler_sentence(handler)));
        handler_secrets(handler).iter().for_each(|(name, fingerprint)| print::line(&format!("    {name} {fingerprint}")));
    }
}

fn retention_sentence(settings: &Settings) -> String {
    let RetentionSettings { body, dedupe, log, log_bytes } = settings.retention;
    let [body, dedupe, log] = [body, dedupe, log].map(print::duration);
    let log_bytes = print::size(log_bytes);
    format!(
        "Once an event is done its body is kept for {body}, and what answers its repeats for {dedupe}; \
         the log goes back {log}, and up to {log_bytes}."
    )
}

fn json(settings: &Settings) -> Result<(), Failure> {
    for source in &settings.sources {
        print::json(&serde_json::json!({
            "v": 1, "source": source.name, "provider": &**source.preset.name(), "path": format!("/hooks/{}", source.name),
            "pending": source.verifier.is_pending(), "retired": source.retired, "says": sentence(source),
            "secrets": source.secrets.iter().map(|secret| secret_json(source, secret)).collect::<Vec<_>>(),
        }))?;
    }
    for handler in &settings.handlers {
        print::json(&serde_json::json!({
            "v": 1, "handler": handler.name, "target": handler_target(handler), "says": handler_sentence(handler),
            "secrets": handler_secrets(handler).iter().map(|(name, fingerprint)| {
                serde_json::json!({ "name": name, "fingerprint": fingerprint })
            }).collect::<Vec<_>>(),
        }))?;
    }
    Ok(())
}

fn secret_json(source: &SourceSettings, secret: &NamedSecret) -> serde_json::Value {
    let found = secret.secret.as_ref().map(fingerprint);
    let short = found.as_ref().map(|found| is_short(source, found));
    serde_json::json!({ "slot": secret.slot, "origin": secret.origin, "fingerprint": found, "short": short })
}

fn sentence(source: &SourceSettings) -> String {
    if source.retired {
        return "Retired: every delivery gets 410, and its sender disables the endpoint.".to_owned();
    }
    let rule = source.preset.ack();
    let retries = match rule.retries_for {
        None => "whether its sender retries is not known".to_owned(),
        Some(Duration::ZERO) => "its sender does not retry by itself".to_owned(),
        Some(window) => format!("its sender retries for {}", print::duration(window)),
    };
    // With secrets there, those checks alone that take part.
    let armed = Some(source.verifier.armed()).filter(|armed| !armed.is_empty());
    let check = source.preset.sentence(armed.as_deref().or(source.allow.as_deref()), source.tolerance);
    let (limit, deadline) = (print::size(source.body_limit as u64), print::duration(source.answer_deadline));
    let ignored = match source.ignore.as_slice() {
        [] => String::new(),
        globs => format!("; no handler gets {}", listed(globs)),
    };
    format!(
        "{check}; answers {} within {deadline}; bodies up to {limit}; {retries}{ignored}{}.",
        source.ack.0,
        who_may_send(source)
    )
}

/// Who may send, where not everybody may.
fn who_may_send(source: &SourceSettings) -> String {
    let Some(networks) = &source.allow_from else { return String::new() };
    let told = match source.trusted_proxies.as_slice() {
        [] => String::new(),
        proxies => format!(", as X-Forwarded-For tells behind {}", addresses(proxies)),
    };
    format!("; only from {}{told}, all others get 403", addresses(networks))
}

/// A network of one address is written as that.
fn addresses(networks: &[ipnet::IpNet]) -> String {
    let one = |network: &ipnet::IpNet| network.prefix_len() == network.max_prefix_len();
    let text = |network: &ipnet::IpNet| if one(network) { network.addr().to_string() } else { network.to_string() };
    listed(&networks.iter().map(text).collect::<Vec<_>>())
}

fn listed<T: ToString>(things: &[T]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A secret of a source: by its fingerprint, and where it was looked for.
pub(super) fn secret_sentence(source: &SourceSettings, secret: &NamedSecret) -> String {
    let slot = if source.preset.slots().len() > 1 { format!(" of slot {}", secret.slot) } else { String::new() };
    let Some(bytes) = &secret.secret else { return format!("secret{slot} from {}: none yet", secret.origin) };
    let found = fingerprint(bytes);
    let short = if is_short(source, &found) { ", short" } else { "" };
    format!("secret {found}{slot} from {}{short}", secret.origin)
}

fn is_short(source: &SourceSettings, fingerprint: &Fingerprint) -> bool {
    source.verifier.fingerprints().iter().any(|(_, known, short)| known == fingerprint && *short)
}

/// What a handler is given of secrets: by name, and the fingerprint of each.
pub(super) fn handler_secrets(handler: &HandlerSettings) -> Vec<(String, Fingerprint)> {
    let HandlerKind::Http(http) = &handler.kind else { return Vec::new() };
    let key = http.sign_with.iter().map(|key| ("signing key".to_owned(), fingerprint(key)));
    let headers = http.headers.iter().map(|(name, value)| (format!("header {name}"), fingerprint(value)));
    key.filter(|_| !http.resign).chain(headers).collect()
}

/// Where a handler's events go.
pub(super) fn handler_target(handler: &HandlerSettings) -> String {
    match &handler.kind {
        HandlerKind::Printer => "prints each event here".to_owned(),
        HandlerKind::Exec(exec) => match exec.command.as_slice() {
            [program] => format!("runs {program}"),
            // An argument may be a token.
            [program, arguments @ ..] => format!("runs {program} with {}", print::counted(arguments.len() as u64, "argument")),
            [] => String::new(),
        },
        HandlerKind::InProcess => "is called in this process".to_owned(),
        HandlerKind::Http(http) => {
            let mut url = http.url.clone();
            url.set_query(None);
            format!("POST {url}")
        }
    }
}

fn handler_sentence(handler: &HandlerSettings) -> String {
    let sources = match &handler.sources {
        None => "every source".to_owned(),
        Some(names) if names.is_empty() => "no source".to_owned(),
        Some(names) => listed(names),
    };
    let events = if handler.events.is_empty() { "every event".to_owned() } else { listed(&handler.events) };
    let signed = match &handler.kind {
        HandlerKind::Printer | HandlerKind::InProcess => "",
        HandlerKind::Exec(_) => ", done by exit code 0",
        HandlerKind::Http(http) if http.resign => ", signed anew as the provider does",
        HandlerKind::Http(_) => ", signed by Standard Webhooks",
    };
    format!(
        "Gets {events} of {sources}, {} at a time, {} for each call, {} attempts{signed}.",
        handler.concurrency,
        print::duration(handler.timeout),
        handler.retry.len() + 1
    )
}
