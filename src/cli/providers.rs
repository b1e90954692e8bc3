//! `hookgate providers`: what is known of each provider, as a table, and one provider's story in words.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::exit::{Failure, OK, USAGE};
use super::print::{self, BOLD, DIM, plain};
use super::{Global, setup};
use crate::config::nearest;
use crate::preset::{Handshake, Preset, builtin_names};

const EXAMPLES: &str = "Examples:
  hookgate providers                           every provider, as a table
  hookgate providers stripe                    all about one
  hookgate providers --json | jq -r .name

A provider of your own is a [providers.NAME] table of the config, and is shown too.";

/// `providers`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ProvidersArgs {
    /// Tell all about this one
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// One JSON object for each provider
    #[arg(long)]
    json: bool,
}

/// Shows providers.
pub(super) fn run(global: &Global, args: &ProvidersArgs) -> Result<u8, Failure> {
    let presets = match setup::presets(&setup::flags(global)) {
        // The built-in ones can be told whatever state the file is in that lies here.
        Err(failure) if global.config.is_none() => {
            print::warning(&format!("providers of the config are not shown: {}", failure.message));
            setup::builtin_presets()
        }
        presets => presets?,
    };
    let shown: Vec<&Arc<Preset>> = match &args.name {
        None => presets.iter().collect(),
        Some(name) => vec![find(&presets, name)?],
    };
    if args.json {
        shown.into_iter().try_for_each(|preset| print::json(&json(preset)))?;
    } else if args.name.is_some() {
        shown.into_iter().for_each(|preset| tell(preset));
    } else {
        print::line(&table(&shown));
        if !global.quiet {
            print::aside(&print::paint("hookgate providers NAME tells all about one", DIM));
        }
    }
    Ok(OK)
}

/// The provider of this name, or which there are.
pub(super) fn find<'p>(presets: &'p [Arc<Preset>], name: &str) -> Result<&'p Arc<Preset>, Failure> {
    presets.iter().find(|preset| **preset.name() == *name).ok_or_else(|| {
        let known: Vec<&str> = presets.iter().map(|preset| &**preset.name()).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}; your own is a [providers.NAME] table of the config", known.join(", ")),
        };
        Failure::new(USAGE, format!("unknown provider `{}`\nhelp: {help}", name.escape_debug()))
    })
}

fn table(presets: &[&Arc<Preset>]) -> String {
    let row = |preset: &&Arc<Preset>| {
        vec![
            (preset.name().to_string(), BOLD),
            plain(preset.title()),
            plain(preset.checks().iter().map(|check| check.method()).collect::<Vec<_>>().join(", ")),
            plain(id(preset)),
            plain(print::duration(preset.ack().deadline)),
            plain(retries(preset.ack().retries_for)),
        ]
    };
    let head = ["NAME", "TITLE", "PROVEN BY", "ID", "DEADLINE", "RETRIES FOR"];
    print::table(&head, presets.iter().map(row).collect(), &[])
}

fn id(preset: &Preset) -> String {
    match preset.derive() {
        Some(derive) => format!("none: by the {}", derive.as_str()),
        None if preset.id_signed() => "signed".to_owned(),
        None => "not signed".to_owned(),
    }
}

fn retries(window: Option<Duration>) -> String {
    match window {
        None => "not known".to_owned(),
        Some(Duration::ZERO) => "never".to_owned(),
        Some(window) => print::duration(window),
    }
}

fn is_builtin(preset: &Preset) -> bool {
    builtin_names().any(|name| *name == **preset.name())
}

fn json(preset: &Preset) -> serde_json::Value {
    let seconds = |duration: Duration| duration.as_secs();
    let checks = preset.checks().iter().map(
        |check| serde_json::json!({ "id": check.id, "method": check.method(), "slot": check.slot, "says": check.sentence(None) }),
    );
    serde_json::json!({
        "v": 1, "name": &**preset.name(), "title": preset.title(), "builtin": is_builtin(preset),
        "mark": preset.mark().map(crate::preset::Mark::as_str), "docs": preset.docs(), "methods": preset.methods(),
        "params": preset.params(), "checks": checks.collect::<Vec<_>>(),
        "id": preset.event().sentence(), "id_signed": preset.id_signed(),
        "handshakes": preset.handshakes().iter().map(Handshake::sentence).collect::<Vec<_>>(),
        "types": preset.event().types.iter().map(|template| &**template.text()).collect::<Vec<_>>(),
        "ack_status": preset.ack().status, "reject_status": preset.ack().reject,
        "deadline_s": seconds(preset.ack().deadline), "retries_for_s": preset.ack().retries_for.map(seconds),
        "resend_for_s": preset.ack().resend_for.map(seconds), "setup": preset.setup(),
    })
}

/// The whole story.
fn tell(preset: &Preset) {
    let mark = preset.mark().map(|mark| format!(", {}", mark.as_str())).unwrap_or_default();
    let origin = if is_builtin(preset) { "built in" } else { "of the config" };
    print::line(&format!("{}  {} ({origin}{mark})", print::paint(preset.name(), BOLD), preset.title()));
    for (place, check) in preset.checks().iter().enumerate() {
        let named = if preset.checks().len() > 1 { format!("{}: ", check.id) } else { String::new() };
        print::fact(if place == 0 { "proof" } else { "or" }, format!("{named}{}", check.sentence(None)));
        if &*check.slot != "signing" {
            print::fact("", format!("its secret is of slot `{}`: {{ env = \"…\", slot = \"{}\" }}", check.slot, check.slot));
        }
    }
    preset.handshakes().iter().for_each(|handshake| print::fact("handshake", handshake.sentence()));
    preset.params().iter().for_each(|(name, help)| print::fact("param", format!("{name}: {help}")));
    print::fact("event", preset.event().sentence());
    let types: Vec<String> = preset.event().types.iter().map(|template| format!("`{}`", template.text())).collect();
    print::fact("type", if types.is_empty() { "unknown".to_owned() } else { types.join(", else ") });
    let volatile: Vec<String> = preset.volatile().iter().map(|pointer| format!("`{pointer}`")).collect();
    if !volatile.is_empty() {
        print::fact("repeats", format!("may differ in {}", volatile.join(", ")));
    }
    print::fact("headers", preset.named_headers().join(", "));
    print::fact("methods", preset.taken_methods().join(", "));
    let rule = preset.ack();
    print::fact("answer", format!("{} to a stored delivery, {} to one that is not proven", rule.status, rule.reject));
    print::fact("deadline", format!("gives up after {}", print::duration(rule.deadline)));
    print::fact("retries", retries_sentence(rule.retries_for));
    let resend = rule.resend_for.map(|window| format!("people can have it sent again for {}", print::duration(window)));
    print::fact("resend", resend.as_deref().unwrap_or("how long people can have it sent again is not known"));
    if let Some(limit) = preset.body_limit() {
        print::fact("bodies", format!("up to {}", print::size(limit as u64)));
    }
    if let Some(docs) = preset.docs() {
        print::fact("docs", docs);
    }
    if !preset.setup().is_empty() {
        let variable = variable(preset, preset.first_slot());
        print::line("\nset-up");
        let url = format!("https://YOUR-HOST/hooks/{}", preset.name());
        for (number, step) in steps(preset, &url, &variable).iter().enumerate() {
            print::line(&format!("  {}. {step}", number + 1));
        }
    }
    if is_builtin(preset) {
        print::line(&format!("\n`hookgate init {}` writes a config with it.", preset.name()));
    }
}

fn retries_sentence(window: Option<Duration>) -> String {
    match window {
        None => "whether it sends again by itself is not known".to_owned(),
        Some(Duration::ZERO) => "never sends again by itself: what is missed must be asked for".to_owned(),
        Some(window) => format!("sends again by itself for {}", print::duration(window)),
    }
}

/// The set-up steps with their address and the place of the secret filled in.
pub(super) fn steps(preset: &Preset, url: &str, variable: &str) -> Vec<String> {
    preset.setup().iter().map(|step| step.replace("{url}", url).replace("{secret}", variable)).collect()
}

/// The variable that a secret of this slot is put into, where nobody has said another.
pub(super) fn variable(preset: &Preset, slot: &str) -> String {
    let upper = |text: &str| text.to_ascii_uppercase().replace('-', "_");
    let name = upper(preset.name());
    let name = name.strip_suffix("_WEBHOOKS").unwrap_or(&name);
    format!("{name}_WEBHOOK_{}", if slot == "signing" { "SECRET".to_owned() } else { upper(slot) })
}
