//! The text of a new config file. Lines that begin with `#` and no blank are settings to take the `#` from; the others are prose.

use std::fmt::Write;

use crate::cli::providers::{steps, variable};
use crate::preset::Preset;

/// Longest line of prose.
const WIDTH: usize = 110;

/// A config with a source for each of these.
pub(super) fn config(presets: &[&Preset], public_url: Option<&str>) -> String {
    let mut text = head(public_url);
    let base = public_url.map_or("https://YOUR-HOST", |url| url.trim_end_matches('/'));
    presets.iter().for_each(|preset| source(&mut text, preset, base));
    handlers(&mut text, presets);
    text
}

fn head(public_url: Option<&str>) -> String {
    let public = match public_url {
        Some(url) => format!("public_url = {}\n", quoted(url)),
        None => "#public_url = \"https://hooks.example.com\"\n".to_owned(),
    };
    format!(
        "# hookgate: `hookgate check` says what this file means, `hookgate serve` runs it.
# Lines that begin with # and no blank are settings that you may want.

# Where deliveries come in. Put a proxy with TLS in front; off loopback the admin listener may stay as it is.
listen = \"127.0.0.1:8080\"
# What providers call: the proxy's name. The address to register is this, /hooks/ and the name of a source.
{public}
# One file, on a local disk. Events, answers, tasks and the delivery log are in it.
database = \"hookgate.db\"

[admin]
# For `hookgate log` and `hookgate redrive`, on this machine. Off loopback it needs a token.
listen = \"127.0.0.1:8081\"
#token = {{ env = \"HOOKGATE_ADMIN_TOKEN\" }}
"
    )
}

fn source(text: &mut String, preset: &Preset, base: &str) {
    let name = preset.name();
    let url = format!("{base}/hooks/{name}");
    let first = preset.first_slot();
    let _ = writeln!(text, "\n# --- {} ---", preset.title());
    prose(text, "# ", &format!("{}.", preset.sentence(None, None)));
    prose(text, "# ", "One source for each registration at the provider, each with a name and a secret of its own.");
    if let Some(docs) = preset.docs() {
        let _ = writeln!(text, "# {docs}");
    }
    let _ = writeln!(text, "#\n# Set-up:");
    let mut steps = steps(preset, &url, &variable(preset, first));
    if steps.is_empty() {
        steps =
            vec![format!("Register {url} at the provider."), format!("Put its signing secret into {}.", variable(preset, first))];
    }
    for (number, step) in steps.iter().enumerate() {
        prose(text, &format!("#   {}. ", number + 1), step);
    }
    let _ = writeln!(text, "[sources.{name}]  # POST {url}\nprovider = \"{name}\"");
    let _ =
        writeln!(text, "# Without it every delivery is answered 503. While you change a secret, list both, the new one first.");
    let _ = writeln!(text, "secrets = [{}]", secret(preset, first));
    for slot in preset.slots().iter().skip(1) {
        let _ = writeln!(text, "#secrets = [{}]  # instead, where it signs with that", secret(preset, slot));
    }
    if !preset.params().is_empty() {
        let _ = writeln!(text, "[sources.{name}.params]");
    }
    for (param, help) in preset.params() {
        prose(text, "# ", help);
        let _ = writeln!(text, "{param} = \"FILL-IN\"");
    }
}

fn secret(preset: &Preset, slot: &str) -> String {
    match slot {
        "signing" => format!("{{ env = \"{}\" }}", variable(preset, slot)),
        other => format!("{{ env = \"{}\", slot = \"{other}\" }}", variable(preset, slot)),
    }
}

fn handlers(text: &mut String, presets: &[&Preset]) {
    let names: Vec<String> = presets.iter().map(|preset| format!("\"{}\"", preset.name())).collect();
    let example = if presets.iter().any(|preset| &**preset.name() == "stripe") { "\"invoice.*\"" } else { "\"*\"" };
    let _ = write!(
        text,
        "
# --- Handlers ---
# A handler is a service of yours that gets each event that matches, until it answers 2xx. Without one, events are stored and shown
# as `no-handler`, and `hookgate redrive` gives them to the handlers that you add later.
#[handlers.my-service]
#sources = [{}]
#events = [{example}]
#url = \"http://127.0.0.1:9000/hooks\"
#timeout = \"30s\"
",
        names.join(", ")
    );
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Words in lines, the first behind `begin`, the others as far in.
fn prose(text: &mut String, begin: &str, words: &str) {
    let indent = format!("#{}", " ".repeat(begin.len() - 1));
    let mut line = begin.to_owned();
    let mut fresh = true;
    for word in words.split_whitespace() {
        if !fresh && line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line.clone_from(&indent);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    let _ = writeln!(text, "{line}");
}
