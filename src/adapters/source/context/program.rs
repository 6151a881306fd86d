//! The Dockerfile of a site with a program of its own: written here, so that nobody has to.

use std::collections::BTreeMap;

use cutover_domain::file::SECRETS_FOLDER;
use cutover_domain::recipe::SITE_FOLDER;
use serde_json::json;

use super::walk::Found;
use super::{ContextError, Name, NameRefused};

/// Where the files lie in the archive, beside the Dockerfile: what they are called cannot meet its name.
pub(super) const BELOW: &str = "site";
/// What the program of a site may be called; the first one that is there begins.
const PROGRAMS: [&str; 6] = ["main.ts", "main.tsx", "main.js", "main.mjs", "server.ts", "server.js"];

/// The Dockerfile for these files. The program may use the network and its environment, read its own files and secrets, and
/// write where its storage is; it may start no other program, and nobody is asked for more.
pub(super) fn dockerfile(
    (image, storage): (&str, Option<&str>),
    files: &BTreeMap<Name, Found>,
) -> Result<String, ContextError> {
    let is_file = |program: &str| {
        let name = Name::read(program.as_bytes()).ok().flatten();
        name.is_some_and(|name| matches!(files.get(&name), Some(Found::File { .. })))
    };
    let missing = || ContextError::Refused { name: PROGRAMS[0].to_owned(), why: NameRefused::NoProgram };
    let program = PROGRAMS.into_iter().find(|program| is_file(program)).ok_or_else(missing)?;
    let readable: Vec<&str> = [SITE_FOLDER, SECRETS_FOLDER].into_iter().chain(storage).collect();
    let mut command = vec!["deno".to_owned(), "run".to_owned(), "--no-prompt".to_owned(), "--allow-net".to_owned()];
    command.extend(["--allow-env".to_owned(), format!("--allow-read={}", readable.join(","))]);
    command.extend(storage.map(|storage| format!("--allow-write={storage}")));
    command.push(program.to_owned());
    // What the program imports from elsewhere is fetched now, and not when it begins.
    let fetch = json!(["deno", "cache", program]);
    Ok(format!(
        "FROM {image}\nWORKDIR {SITE_FOLDER}\nCOPY {BELOW} {SITE_FOLDER}\nRUN {fetch}\nCMD {}\n",
        json!(command)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeMap<Name, Found> {
        let file = |name: &&str| {
            let name = Name::read(name.as_bytes()).unwrap().unwrap();
            (name, Found::File { executable: false, size: 1 })
        };
        names.iter().map(file).collect()
    }

    #[test]
    fn a_program_gets_the_least_that_it_needs() {
        let text = dockerfile(("deno:2", None), &files(&["main.ts", "server.js"])).unwrap();
        let expected = "FROM deno:2\nWORKDIR /site\nCOPY site /site\nRUN [\"deno\",\"cache\",\"main.ts\"]\n\
                        CMD [\"deno\",\"run\",\"--no-prompt\",\"--allow-net\",\"--allow-env\",\
                        \"--allow-read=/site,/run/secrets\",\"main.ts\"]\n";
        assert_eq!(text, expected);
        let stored = dockerfile(("deno:2", Some("/data")), &files(&["server.js"])).unwrap();
        let command = "\"--allow-read=/site,/run/secrets,/data\",\"--allow-write=/data\",\"server.js\"]\n";
        assert!(stored.ends_with(command), "{stored}");
    }

    #[test]
    fn a_site_without_a_program_is_refused_with_the_names_that_one_may_have() {
        let refused = dockerfile(("deno:2", None), &files(&["index.html", "lib/main.ts"])).unwrap_err().to_string();
        assert!(refused.contains("main.ts") && refused.contains("server.js"), "{refused}");
    }
}
