//! What is written after `cutover secret`, and where values come from: never from the command line itself.

pub(super) mod docker;
mod dotenv;
mod program;
mod prompt;
mod sops;
mod source;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use dotenv::parse as dotenv;
pub(super) use source::{read, read_file};

use super::exit::{Exit, Failure};
use super::grammar::Json;
use super::values;
use crate::api::request::secret_name;

#[derive(Subcommand, Debug)]
pub(super) enum Secret {
    /// Give a secret a value: asked for without being shown, or from a file or a program
    Set(Set),
    /// Show every secret, without values, and who needs it
    List(List),
    /// Show the versions of a secret, without values
    Versions(Named),
    /// Remove a secret that no workload needs
    #[command(name = "rm")]
    Remove(Named),
    /// Seal every value with a new identity, and destroy the old one
    Rekey(Rekey),
    /// Take values over from a .env file, a file that SOPS has encrypted for age, or the logins of `docker login`
    Import(Import),
}

#[derive(Args, Debug)]
pub(super) struct Set {
    /// Secret: project/name, or its name where there is one project
    pub(super) name: String,
    /// A value that was written where everybody can read it: refused.
    #[arg(hide = true)]
    pub(super) rest: Vec<String>,
    #[command(flatten)]
    pub(super) from: From,
    #[command(flatten)]
    pub(super) told: Told,
}

/// Where the value comes from; asked for on the terminal without any of them.
#[derive(Args, Debug)]
pub(super) struct From {
    /// File with the value, or - for stdin
    #[arg(long, allow_hyphen_values = true, value_name = "FILE|-", conflicts_with = "exec")]
    pub(super) file: Option<PathBuf>,
    /// Program that prints the value, as in "op read op://shop/db/password"; run without a shell
    #[arg(long, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(super) exec: Option<String>,
}

/// What follows, and how it is told.
#[derive(Args, Debug)]
pub(super) struct Told {
    /// Deploy the running workloads that need what has changed
    #[arg(long)]
    pub(super) deploy: bool,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct List {
    /// Only those of one project
    #[arg(value_parser = values::project)]
    pub(super) project: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Named {
    /// Secret: project/name, or its name where there is one project
    pub(super) name: String,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Rekey {
    /// Only those of one project
    #[arg(value_parser = values::project)]
    pub(super) project: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Args, Debug)]
pub(super) struct Import {
    /// .env file, file of SOPS (YAML, JSON or dotenv), or - for stdin; with --docker the project
    #[arg(allow_hyphen_values = true, value_name = "FILE|-|PROJECT", required_unless_present = "docker")]
    pub(super) file: Option<PathBuf>,
    /// Take the logins of Docker's config.json and of the helpers that it names, a secret for each registry
    #[arg(long)]
    pub(super) docker: bool,
    /// Whose secrets they become; may be left out where there is one project
    #[arg(long, value_name = "PROJECT", value_parser = values::project)]
    pub(super) project: Option<String>,
    /// Only this name, or with --docker this registry; may be repeated
    #[arg(long, value_name = "NAME|REGISTRY")]
    pub(super) only: Vec<String>,
    #[command(flatten)]
    pub(super) told: Told,
}

/// The values of a file that is imported, by name. One that SOPS has encrypted is opened with the identities of this person:
/// what would be stored otherwise is the ciphertext, under the name of the value.
///
/// # Errors
/// One line, which repeats no value.
pub(super) fn values(text: &str) -> Result<sops::Values, String> {
    if text.contains(sops::BEGINS) {
        return sops::read(text, &sops::Places::here());
    }
    let bytes = |value: Zeroizing<String>| Zeroizing::new(value.as_bytes().to_vec());
    Ok(dotenv(text)?.into_iter().map(|(name, value)| (name, bytes(value))).collect())
}

/// The parts of a secret's name: the project, where one is written, and the name in it.
///
/// # Errors
/// It is not well formed: exit code 15. It is not repeated when it could hold a value.
pub(super) fn named(text: &str) -> Result<(Option<String>, String), Failure> {
    if text.contains('=') {
        return Err(on_the_command_line());
    }
    let (project, name) = match text.split_once('/') {
        Some((project, name)) => (Some(project.to_owned()), name),
        None => (None, text),
    };
    let checked = secret_name(project.as_deref().unwrap_or("default"), name);
    let checked = checked.map_err(|text| Failure::new(Exit::Refused, text))?;
    Ok((project, checked.name))
}

/// That a value was written as an argument.
pub(super) fn on_the_command_line() -> Failure {
    Failure::usage(
        "a value on the command line can be read by everybody on this machine, and stays in the shell's history: write the \
         name alone and type the value when it is asked for, or use --file FILE, --file - or --exec COMMAND",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_a_part_of_the_name() {
        assert_eq!(named("shop/db_password").unwrap(), (Some("shop".into()), "db_password".into()));
        assert_eq!(named("db_password").unwrap(), (None, "db_password".into()));
        for bad in ["db_password=hunter2", "shop/a=hunter2"] {
            let failure = named(bad).unwrap_err();
            assert!(failure.exit == Exit::Usage && !failure.line().contains("hunter2"), "{}", failure.line());
        }
        for bad in ["", "/a", "a/", "A/b", "shop/../x", "a b", "-x"] {
            assert_eq!(named(bad).unwrap_err().exit, Exit::Refused, "{bad}");
        }
    }
}
