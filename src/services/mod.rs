//! The services of a stack, each by itself: which there are, where among them a person's program runs, and what they print
//! ([`output`]). To everything else a stack is one unit.

pub mod output;

use cutover_events::WorkloadId;

use crate::adapters::runtime::Service;
use crate::execution::Execution;
use crate::execution::errands::{Asked, NotBegun, Where};

/// What a person asks for, once it is seen that the service is there which is meant. A workload that is no stack is left as
/// it is, and so is one of which nothing serves: why is told by whoever begins the program.
///
/// # Errors
/// There is no such service, none is named where there are several, or Docker is away.
pub async fn placed(
    shell: &Execution,
    workload: WorkloadId,
    (asked, service): (Asked, Option<String>),
) -> Result<Asked, NotBegun> {
    let name = full_name(shell, workload);
    let Some((_, plan)) = shell.commands.live().cell(workload).state().serving() else { return Ok(asked) };
    if !plan.template.is_stack() {
        return match service {
            None => Ok(asked),
            Some(_) => Err(NotBegun::Unknown(format!("{name} is no stack, and has no services: leave --service out"))),
        };
    }
    let all = shell.runtime.list(shell.log, Some(workload)).await?;
    let Some(unit) = all.iter().find(|unit| plan.slot.contains(&unit.unit)) else { return Ok(asked) };
    let (process, replica) = match &asked.place {
        Where::Inside(process, replica) => (process.clone(), *replica),
        Where::Alone => (None, None),
    };
    let only = chosen(&name, &unit.services, service.or(process).as_deref())?;
    if let Some(number) = replica.filter(|number| *number != 1) {
        let text = format!("a program runs in the first container of {} of {name}, not in {number}", only.name);
        return Err(NotBegun::Unknown(text));
    }
    let place = match asked.place {
        Where::Inside(..) => Where::Inside(None, None),
        Where::Alone => Where::Alone,
    };
    Ok(Asked { place, ..asked })
}

/// The service that a program runs in: the only one of its stack.
fn chosen<'a>(name: &str, services: &'a [Service], wanted: Option<&str>) -> Result<&'a Service, NotBegun> {
    let all = names(services);
    if let Some(missing) = wanted.filter(|wanted| services.iter().all(|service| service.name != *wanted)) {
        return Err(NotBegun::Unknown(format!("{name} has no service {missing}: it has {all}")));
    }
    match services {
        [only] => Ok(only),
        _ => Err(NotBegun::NothingRuns(format!(
            "{name} has several services ({all}), and a program can be run only where a stack has one"
        ))),
    }
}

fn names(services: &[Service]) -> String {
    services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn full_name(shell: &Execution, workload: WorkloadId) -> String {
    shell.commands.live().registry().full_name(workload).unwrap_or_else(|| workload.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(names: &[&str]) -> Vec<Service> {
        let one = |name: &&str| Service {
            name: (*name).to_owned(),
            state: "running",
            health: "",
            exit_code: None,
            containers: Vec::new(),
            address: None,
        };
        names.iter().map(one).collect()
    }

    #[test]
    fn a_service_that_is_not_there_is_answered_with_those_that_are() {
        let (one, two) = (services(&["web"]), services(&["db", "web"]));
        for wanted in [None, Some("web")] {
            assert_eq!(chosen("shop/stack", &one, wanted).unwrap().name, "web");
        }
        for all in [&one, &two] {
            let why = chosen("shop/stack", all, Some("api")).unwrap_err();
            assert!(matches!(&why, NotBegun::Unknown(text) if text.ends_with(&names(all))), "{why}");
        }
        let several = chosen("shop/stack", &two, None).unwrap_err().to_string();
        assert!(several.contains("several services (db, web)"), "{several}");
    }
}
