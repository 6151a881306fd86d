//! The log of a build.

use super::Tone;
use super::screen::Screen;
use crate::api::views::BuildLogView;

/// A stretch, with a word about what is missing in front of it.
pub(in crate::cli) fn shown(view: &BuildLogView, from: u64, screen: &Screen) -> String {
    if view.deployment_id.is_empty() {
        return format!(
            "{} has no log of a build: nothing was built for it, or it was removed by age\n",
            view.workload
        );
    }
    let head = match from {
        0 => screen.tone(Tone::Strong, &format!("== build of {} by {}\n", view.workload, view.deployment_id)),
        _ => String::new(),
    };
    let gap = match view.left_out {
        0 => String::new(),
        bytes => format!("… {bytes} bytes were left out …\n"),
    };
    format!("{head}{gap}{}", plain(&view.text))
}

/// The lines that were searched for.
pub(in crate::cli) fn found(view: &BuildLogView) -> String {
    match view.found.as_slice() {
        [] => "no line of the build holds that\n".to_owned(),
        lines => lines.iter().map(|line| format!("{}\n", plain(line))).collect(),
    }
}

/// Output of programs without what would change a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> BuildLogView {
        BuildLogView {
            workload: "shop/web".into(),
            deployment_id: "dep_1".into(),
            doing: None,
            left_out: 0,
            text: "#1 RUN make\n#1 \u{1b}[31mred\n".into(),
            next: 0,
            ended: true,
            found: Vec::new(),
        }
    }

    #[test]
    fn a_log_begins_with_whose_it_is_and_changes_no_terminal() {
        let screen = Screen::plain(0);
        assert_eq!(shown(&view(), 0, &screen), "== build of shop/web by dep_1\n#1 RUN make\n#1  [31mred\n");
        let later = BuildLogView { left_out: 7, ..view() };
        assert!(shown(&later, 9, &screen).starts_with("… 7 bytes were left out …\n#1 RUN"));
        let none = BuildLogView { deployment_id: String::new(), ..view() };
        assert!(shown(&none, 0, &screen).starts_with("shop/web has no log of a build"));
    }

    #[test]
    fn what_was_searched_for_is_told_line_by_line() {
        let hits = BuildLogView { found: vec!["a".into(), "b".into()], ..view() };
        assert_eq!(found(&hits), "a\nb\n");
        assert_eq!(found(&view()), "no line of the build holds that\n");
    }
}
