//! `exec` of `[handlers.NAME]`, resolved: the command, and the environment that it gets.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use toml::Spanned;

use super::error::ConfigError;
use super::file::HandlerText;
use super::resolve_handler::HandlerContext;
use super::{ExecSettings, HandlerKind, HandlerSettings};

/// What every command gets of our environment.
const ENV: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];
/// Our own settings, which `env` may name: a command may call `hookgate`. Other names like these are of the event.
const OWN: [&str; 5] =
    ["HOOKGATE_CONFIG", "HOOKGATE_LISTEN", "HOOKGATE_ADMIN_LISTEN", "HOOKGATE_DATABASE", "HOOKGATE_ADMIN_TOKEN"];
/// Most bytes of a command: well under what a system takes.
const COMMAND_BYTES_MAX: usize = 64 << 10;
/// Where a program without a path is looked for if `PATH` is not set, by the system's own rule.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

pub(super) fn resolve(
    words: &Spanned<Vec<Spanned<String>>>,
    text: &HandlerText,
    context: &HandlerContext<'_>,
) -> Result<ExecSettings, ConfigError> {
    refuse_http(words, text)?;
    let command = command(words)?;
    let named = text.env.as_ref().map(|names| names.get_ref().as_slice()).unwrap_or_default();
    let named = named.iter().map(variable).collect::<Result<Vec<_>, _>>()?;
    let names = ENV.into_iter().chain(named.iter().map(String::as_str).filter(|name| !ENV.contains(name)));
    let env = names.filter_map(|name| Some((name.to_owned(), context.reader.env().var(name)?))).collect();
    let unset = named.iter().filter(|name| context.reader.env().var(name).is_none()).cloned().collect();
    Ok(ExecSettings { command, env, unset, supervisor: own_binary() })
}

/// What only a service has.
fn refuse_http(words: &Spanned<Vec<Spanned<String>>>, text: &HandlerText) -> Result<(), ConfigError> {
    let headers = text.headers.keys().next().map(|name| ("headers", name.span()));
    let forwarded = text.forward_headers.as_ref().map(|names| {
        let span = names.first().map_or_else(|| words.span(), Spanned::span);
        ("forward_headers", span)
    });
    let signed = text.sign_with.as_ref().map(|key| ("sign_with", key.span()));
    let resigned = text.resign.then(|| ("resign", words.span()));
    match headers.or(forwarded).or(signed).or(resigned) {
        None => Ok(()),
        Some((setting, span)) => {
            Err(ConfigError::at(span, format!("`{setting}` is of HTTP handlers, and this one runs a command (`exec`)"))
                .help("take it out: a command gets the event in HOOKGATE_... variables, and others by `env`"))
        }
    }
}

fn command(words: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<String>, ConfigError> {
    match words.get_ref().first() {
        Some(program) if !program.get_ref().is_empty() => {}
        _ => {
            return Err(ConfigError::at(words.span(), "`exec` names no program")
                .help("a list of the program and its arguments, as no shell reads it: [\"./deploy.sh\", \"production\"]"));
        }
    }
    if words.get_ref().iter().map(|word| word.get_ref().len()).sum::<usize>() > COMMAND_BYTES_MAX {
        return Err(ConfigError::at(words.span(), "`exec` is longer than 64 KiB").help("put the text into a file, and name that"));
    }
    let clean = |word: &Spanned<String>| match word.get_ref().contains('\0') {
        true => Err(ConfigError::at(word.span(), "no argument can hold a NUL character")),
        false => Ok(word.get_ref().clone()),
    };
    words.get_ref().iter().map(clean).collect()
}

fn variable(name: &Spanned<String>) -> Result<String, ConfigError> {
    let text = name.get_ref();
    let legal = !text.is_empty() && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if !legal || text.as_bytes()[0].is_ascii_digit() {
        return Err(ConfigError::at(name.span(), "not a variable's name")
            .help("`env` lists names of variables; their values come from the gateway's own environment"));
    }
    if text.starts_with("HOOKGATE_") && !OWN.contains(&text.as_str()) {
        return Err(ConfigError::at(name.span(), format!("`{text}` is set by the gateway, or by nobody")));
    }
    Ok(text.clone())
}

/// An exit code that ends a task for good.
pub(super) fn final_code(code: &Spanned<u16>) -> Result<u16, ConfigError> {
    match *code.get_ref() {
        good @ 1..=255 => Ok(good),
        other => Err(ConfigError::at(code.span(), format!("{other} cannot be a final exit code: give one from 1 to 255"))),
    }
}

/// The running binary itself, whatever has taken its place on the disk since it was started.
fn own_binary() -> PathBuf {
    if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { std::env::current_exe().unwrap_or_default() }
}

/// What should be known of the commands among the handlers.
pub(super) fn warnings(handlers: &[HandlerSettings]) -> Vec<String> {
    let mut warnings = Vec::new();
    for handler in handlers {
        let HandlerKind::Exec(exec) = &handler.kind else { continue };
        if let Some(problem) = problem(exec) {
            warnings.push(format!("handler {}: {problem}: its calls will fail, and are made again", handler.name));
        }
        for name in &exec.unset {
            warnings
                .push(format!("handler {}: variable {name} of `env` is not set: the command starts without it", handler.name));
        }
    }
    warnings
}

/// Why the program could not be started now.
fn problem(exec: &ExecSettings) -> Option<String> {
    let program = exec.command.first()?;
    let (found, place) = if program.contains('/') {
        let beside = if Path::new(program).is_absolute() { String::new() } else { format!(" in {}", working_directory()) };
        (vec![PathBuf::from(program)], beside)
    } else {
        let path = exec.env.iter().find(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, path)| path);
        (path.split(':').map(|directory| Path::new(directory).join(program)).collect(), " in PATH".to_owned())
    };
    let files: Vec<_> = found.iter().filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Some(format!("there is no program `{program}`{place}"));
    }
    let executable = files.iter().any(|path| access(path.as_path(), Access::EXEC_OK).is_ok());
    (!executable).then(|| format!("`{program}` is not executable for this user: chmod +x {program}"))
}

/// A relative path counts from where the gateway runs.
fn working_directory() -> String {
    std::env::current_dir().map_or_else(|_unknown| "the working directory".to_owned(), |path| path.display().to_string())
}
