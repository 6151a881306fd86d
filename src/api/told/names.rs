//! Units by the names of their containers, which people know from Docker.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::views::EventLine;

/// What an id of a unit begins with.
const UNIT: &str = "unit_";

/// The names of containers, learnt from the plans that were told.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: BTreeMap<String, String>,
}

impl Names {
    /// Learns from an event: plans name their containers, and a unit that is gone needs no name any more.
    pub fn learn(&mut self, line: &EventLine) {
        let units = line.fields.get("plan").and_then(|plan| plan.get("units")).and_then(Value::as_array);
        for unit in units.into_iter().flatten() {
            if let (Some(id), Some(name)) = (text(unit, "unit"), text(unit, "name")) {
                self.names.insert(id.to_owned(), name.to_owned());
            }
        }
    }

    /// Forgets the unit that this event tells the end of.
    pub fn forget(&mut self, line: &EventLine) {
        if line.event == "UnitRemoved" {
            self.names.remove(line.text("unit"));
        }
    }

    /// A sentence with ids of units replaced by names, where they are known.
    #[must_use]
    pub fn spoken(&self, sentence: &str) -> String {
        let mut out = String::with_capacity(sentence.len());
        let mut rest = sentence;
        while let Some(at) = rest.find(UNIT) {
            let id = &rest[at..];
            let end = id.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(id.len());
            out.push_str(&rest[..at]);
            out.push_str(self.names.get(&id[..end]).map_or(&id[..end], String::as_str));
            rest = &id[end..];
        }
        out.push_str(rest);
        out
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_unit_is_called_by_the_name_that_its_plan_gave() {
        let mut names = Names::default();
        let plan = json!({
            "position": 1, "time": "", "event": "DeploymentPlanned", "cause": "engine", "actor": "engine",
            "plan": {"units": [{"unit": "unit_1a", "name": "cutover-shop-web-1a"}]}
        });
        names.learn(&serde_json::from_value(plan).unwrap());
        assert_eq!(names.spoken("created unit_1a, not unit_2"), "created cutover-shop-web-1a, not unit_2");
        let gone = json!({
            "position": 2, "time": "", "event": "UnitRemoved", "cause": "engine", "actor": "engine", "unit": "unit_1a"
        });
        names.forget(&serde_json::from_value(gone).unwrap());
        assert_eq!(names.spoken("unit_1a is gone"), "unit_1a is gone");
    }
}
