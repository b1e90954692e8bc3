//! Commands that write: `init`, `completions` and `man`. What they say is in `tests/cli`.

use std::process::{Command, Stdio};

use hookgate::config::{self, Environment, Flags, Keys, Settings};
use hookgate::preset::builtin_names;

use crate::helpers::cli::Cli;

/// A config as an operator would have it who has set every variable.
fn load(text: &str) -> Settings {
    let set = Environment::of([
        ("STRIPE_WEBHOOK_SECRET", "whsec_0123456789abcdef"),
        ("GITHUB_WEBHOOK_SECRET", "0123456789abcdef0123"),
        ("HOOKGATE_ADMIN_TOKEN", "0123456789abcdef0123"),
    ]);
    config::load_text(text, None, &Flags::default(), &set, Keys::Look).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn what_init_writes_loads_and_is_ready_once_the_variables_are_set() {
    let cli = Cli::new();
    cli.run(&["init", "--public-url", "https://hooks.example.com"]).expect(0);
    let text = std::fs::read_to_string(cli.path("hookgate.toml")).expect("written");
    for url in ["https://hooks.example.com/hooks/stripe", "https://hooks.example.com/hooks/github"] {
        assert!(text.contains(url), "`{url}` is not in:\n{text}");
    }
    let settings = load(&text);
    let sources: Vec<&str> = settings.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(sources, ["github", "stripe"]);
    assert!(settings.sources.iter().all(|source| !source.verifier.is_pending()));
    assert_eq!(settings.public_url.as_deref(), Some("https://hooks.example.com"));
}

#[test]
fn the_settings_that_init_leaves_out_load_when_they_are_taken_in() {
    let cli = Cli::new();
    let text = cli.run(&["init", "--stdout"]).expect(0).stdout;
    let prose = |line: &str| line == "#" || line.starts_with("# ");
    let settings: Vec<&str> =
        text.lines().map(|line| if prose(line) { line } else { line.strip_prefix('#').unwrap_or(line) }).collect();
    let settings = load(&settings.join("\n"));
    assert_eq!(settings.handlers.len(), 1);
    assert!(settings.admin_token.is_some() && settings.public_url.is_some());
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn init_has_a_source_that_loads_for_every_provider() {
    let cli = Cli::new();
    for name in builtin_names() {
        let text = cli.run(&["init", name, "--stdout"]).expect(0).stdout;
        let settings = load(&text);
        assert_eq!(settings.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), [name]);
        assert!(text.contains("# Set-up:\n#   1. "), "{text}");
        assert!(!text.contains("{url}") && !text.contains("{secret}"), "{text}");
    }
}

#[test]
fn init_writes_over_nothing_unless_told_to() {
    let cli = Cli::new();
    cli.write("hookgate.toml", "mine");
    cli.run(&["init"]).fails(2, &["hookgate.toml is there already", "--force", "--stdout"]);
    assert_eq!(std::fs::read_to_string(cli.path("hookgate.toml")).expect("it is there"), "mine");
    cli.run(&["init", "--force"]).expect(0);
    load(&std::fs::read_to_string(cli.path("hookgate.toml")).expect("it is there"));
}

#[test]
fn every_command_has_a_manual_page() {
    let cli = Cli::new();
    cli.run(&["man", "pages"]).expect(0);
    let help = cli.run(&["--help"]).expect(0).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 8, "{help}");
    for name in
        names.into_iter().map(|name| format!("hookgate-{name}")).chain(["hookgate".to_owned(), "hookgate-log-show".to_owned()])
    {
        let page = std::fs::read_to_string(cli.path("pages").join(format!("{name}.1")))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(&format!(".TH {name} 1")) && page.contains(".SH OPTIONS"), "{page}");
    }
}

#[test]
fn every_shell_gets_completions_of_every_command() {
    let cli = Cli::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cli.run(&["completions", shell]).expect(0).stdout;
        assert!(["redrive", "verify", "secret-file"].iter().all(|word| script.contains(word)), "{shell}");
    }
}

#[test]
fn who_stops_reading_is_no_error() {
    for args in [&["completions", "zsh"][..], &["man"], &["providers", "stripe"], &["init", "--stdout"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookgate"));
        let ended = command.args(args).env_clear().stdout(writer).stderr(Stdio::piped()).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(
            (ended.status.code(), said.contains("error"), said.contains("panic")),
            (Some(0), false, false),
            "{args:?}: {said}"
        );
    }
}
