//! What every command begins with: the log, the TLS provider, the configuration and its errors.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::EnvFilter;

use super::exit::{Failure, UNREACHABLE, USAGE};
use super::{Global, LogFormat, print, voice};
use crate::config::{self, ConfigError, ConfigErrorKind, Environment, Flags, Keys, Settings};
use crate::preset::{self, Preset};

/// One TLS provider for the whole process; a second one would make rustls panic.
pub(super) fn install_crypto() {
    // An error says that one is installed, which is what is wanted.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The HTTP library calls every malformed request an error, so a stranger could write any number of lines.
const LIBRARIES: &str = "actix_http=off,actix_server::accept=off";

/// The log goes to stderr. In JSON, deliveries are log lines; for people they are printed apart. It is flushed when the guard goes.
pub(super) fn subscribe(global: &Global) -> WorkerGuard {
    // Libraries print the headers of a request when they are asked for more than warnings, so signatures and tokens.
    let level = match (global.quiet, global.verbose, global.log_format) {
        (true, ..) => "error",
        (false, 0, LogFormat::Pretty) => "warn",
        (false, 0, LogFormat::Json) | (false, 1, _) => "hookgate=info,warn",
        (false, 2, _) => "hookgate=debug,warn",
        (false, ..) => "hookgate=trace,warn",
    };
    let (writer, guard) = voice::stderr();
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(format!("{level},{LIBRARIES}"))).with_writer(writer);
    match global.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
        LogFormat::Pretty => builder.with_target(false).with_ansi(std::io::stderr().is_terminal()).compact().init(),
    }
    guard
}

/// The flags that every command has.
pub(super) fn flags(global: &Global) -> Flags {
    Flags { config: global.config.clone(), database: global.database.clone(), ..Flags::default() }
}

/// The options by which another command finds the config and the database of a gateway that was started with these flags, each behind
/// a blank.
pub(super) fn options(flags: &Flags, settings: &Settings) -> String {
    let database = match &settings.file {
        None => settings.database != Path::new(config::DEFAULT_DATABASE),
        Some(_) => flags.database.is_some() || Environment::of_process().var("HOOKGATE_DATABASE").is_some(),
    };
    let mut options = settings.file.as_deref().map_or_else(String::new, config_option);
    if database {
        options.push_str(&format!(" --database {}", print::word(&settings.database.display().to_string())));
    }
    options
}

/// The option that names a config file, behind a blank; nothing where it is found without.
pub(super) fn config_option(path: &Path) -> String {
    if path == Path::new(config::DEFAULT_FILE) {
        return String::new();
    }
    format!(" --config {}", print::word(&path.display().to_string()))
}

/// The configuration, or what is wrong with it, shown at its place.
pub(super) fn settings(flags: &Flags, keys: Keys) -> Result<Settings, Failure> {
    let mut text = None;
    config::load(flags, &Environment::of_process(), keys, &mut text).map_err(|error| failure(&error, text.as_ref()))
}

/// The providers that are built in.
pub(super) fn builtin_presets() -> Vec<Arc<Preset>> {
    preset::builtin_names().filter_map(preset::builtin).collect()
}

/// Every provider that there is.
pub(super) fn presets(flags: &Flags) -> Result<Vec<Arc<Preset>>, Failure> {
    let mut text = None;
    config::load_presets(flags, &Environment::of_process(), &mut text).map_err(|error| failure(&error, text.as_ref()))
}

/// Everything that is wrong, each at its place, in colours.
pub(super) fn failure(error: &ConfigError, text: Option<&(PathBuf, String)>) -> Failure {
    let usage = error.all().any(|error| error.kind == ConfigErrorKind::Usage);
    let told: Vec<String> = error.all().map(|error| told(error, text)).collect();
    // The first one gets its "error: " from who prints it.
    let error = print::paint("error", print::RED.bold());
    Failure::new(if usage { USAGE } else { UNREACHABLE }, told.join(&format!("\n\n{error}: ")))
}

fn told(error: &ConfigError, text: Option<&(PathBuf, String)>) -> String {
    if let (Some(span), Some((path, content))) = (&error.span, text) {
        return at_place(error, span.clone(), path, content);
    }
    let help = error.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    format!("{}{help}", error.message)
}

/// The line, a caret, and what to do. Control characters of the file are shown as pictures by the renderer.
fn at_place(error: &ConfigError, span: std::ops::Range<usize>, path: &Path, content: &str) -> String {
    let end = span.end.min(content.len());
    let span = span.start.min(end)..end;
    let path = path.display().to_string();
    let content = config::blanked(content);
    let snippet = Snippet::source(content.as_str()).path(&path).fold(true).annotation(AnnotationKind::Primary.span(span));
    // The caller puts "error: " in front of every message.
    let mut group = Group::with_title(Level::ERROR.no_name().primary_title(&error.message)).element(snippet);
    if let Some(help) = &error.help {
        group = group.element(Level::HELP.message(help));
    }
    Renderer::styled().render(&[group])
}
