//! What holds for every builder.

use std::collections::BTreeSet;
use std::time::Duration;

use cutover::adapters::builder::{Build, BuildError, BuilderKind, Keep, tidy};

use cutover::adapters::source::Content;

use super::harness::Stand;
use crate::docker;

pub(crate) async fn a_build_makes_an_image_and_tells_its_steps(stand: &Stand) {
    let build = stand.build(1, "RUN [\"/shell\", \"print\", \"hello there\"]\n");
    let (built, told) = stand.made(&build).await;
    let built = built.unwrap();
    assert!(built.image.starts_with("sha256:") && !built.reused, "{built:?}");
    let begun = told.iter().position(|line| line.contains("RUN") && line.contains("/shell")).expect("the step begins");
    let number = told[begun].split(' ').next().unwrap();
    assert!(told[begun..].contains(&format!("{number} hello there")), "{told:#?}");
    assert!(told[begun..].contains(&format!("{number} DONE")), "{told:#?}");
    let images = stand.builder.images(stand.log).await.unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!((&images[0].id, images[0].workload), (&built.image, build.workload));
    assert_eq!(images[0].deployment, build.deployment);
}

pub(crate) async fn the_same_content_is_not_built_again(stand: &Stand) {
    let steps = "RUN [\"/shell\", \"print\", \"once\"]\n";
    let first = stand.image(&stand.build(1, steps)).await;
    let (second, told) = stand.made(&stand.build(2, steps)).await;
    let second = second.unwrap();
    assert!(second.reused && second.image == first.image && second.key == first.key);
    assert_eq!(told, [format!("nothing has changed since the build of {}: it is used again", first.image)]);
    let fresh = Build { fresh: true, ..stand.build(3, steps) };
    assert!(!stand.image(&fresh).await.reused);
    let other = stand.image(&stand.build(4, "RUN [\"/shell\", \"print\", \"twice\"]\n")).await;
    assert!(!other.reused && other.image != first.image);
}

pub(crate) async fn other_arguments_make_another_image(stand: &Stand) {
    let with = |n, value: &str| {
        let mut build = stand.build(n, "ARG COLOUR\nENV COLOUR=$COLOUR\n");
        build.args.insert("COLOUR".to_owned(), value.to_owned());
        build
    };
    let red = stand.image(&with(1, "red")).await;
    let blue = stand.image(&with(2, "blue")).await;
    assert!(red.key != blue.key && red.image != blue.image);
    assert!(stand.image(&with(3, "red")).await.reused);
}

pub(crate) async fn a_stage_is_built_alone(stand: &Stand) {
    let steps = "RUN [\"/shell\", \"print\", \"first\"]\nFROM base AS last\nRUN [\"/shell\", \"exit\", \"3\"]\n";
    let build = Build { target: "base".to_owned(), ..stand.build(1, steps) };
    stand.image(&build).await;
    let missing = Build { target: "nowhere".to_owned(), ..stand.build(2, steps) };
    let (refused, _) = stand.made(&missing).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, BuildError::Refused(_)) && refused.to_string().contains("nowhere"), "{refused}");
}

pub(crate) async fn a_failing_step_is_told_with_its_last_lines(stand: &Stand) {
    let build = stand.build(1, "RUN [\"/shell\", \"print\", \"fine\"]\nRUN [\"/shell\", \"exit\", \"3\"]\n");
    let (failed, told) = stand.made(&build).await;
    let Err(BuildError::Step { step, why, last }) = failed else { panic!("{failed:?}") };
    assert!(step.contains("RUN") && step.contains("exit"), "{step}");
    assert!(why.contains('3'), "{why}");
    assert_eq!(last, ["going to fail"], "{told:#?}");
    assert!(told.last().is_some_and(|line| line.contains("ERROR")), "{told:#?}");
    assert!(stand.builder.images(stand.log).await.unwrap().is_empty());
}

pub(crate) async fn a_dockerfile_that_is_none_is_refused(stand: &Stand) {
    let build = Build { content: Content::Context(stand.context("# nothing\n")), ..stand.build(1, "") };
    let (refused, _) = stand.made(&build).await;
    assert!(matches!(refused, Err(BuildError::Refused(_))), "{refused:?}");
}

pub(crate) async fn a_build_that_is_cancelled_leaves_nothing(stand: &Stand) {
    let steps = format!("RUN [\"/shell\", \"print\", \"{0}\"]\nRUN [\"/shell\", \"hang\", \"{0}\"]\n", stand.mark);
    let before = stand.count_images().await;
    let (ended, told) = stand.made_until(&stand.build(1, &steps), "hanging").await;
    assert_eq!(ended, Err(BuildError::Cancelled), "{told:#?}");
    assert!(!stand.runs(), "its step still runs");
    assert!(stand.builder.images(stand.log).await.unwrap().is_empty());
    assert_eq!(stand.count_images().await, before, "images of steps stay behind");
    assert!(stand.containers().await.is_empty(), "the container of a step stays behind");
}

pub(crate) async fn a_build_that_takes_too_long_is_ended(stand: &Stand) {
    let steps = format!("RUN [\"/shell\", \"hang\", \"{}\"]\n", stand.mark);
    let deadline = Duration::from_secs(3);
    let build = Build { deadline, ..stand.build(1, &steps) };
    let (ended, _) = stand.made(&build).await;
    assert_eq!(ended, Err(BuildError::Late(deadline)));
    assert!(!stand.runs(), "its step still runs");
}

pub(crate) async fn old_images_go_and_named_ones_stay(stand: &Stand) {
    let mut made = Vec::new();
    for n in 1..=4 {
        made.push(stand.image(&stand.build(n, &format!("ENV N={n}\n"))).await.image);
    }
    let keep = Keep { named: BTreeSet::from([made[0].clone()]), newest: 1, age: Duration::MAX };
    let gone = tidy(&*stand.builder, stand.log, &keep, u64::MAX).await.unwrap();
    let gone: Vec<&String> = gone.iter().map(|image| &image.id).collect();
    assert_eq!(gone, [&made[1], &made[2]]);
    let left = stand.builder.images(stand.log).await.unwrap();
    let left: BTreeSet<&String> = left.iter().map(|image| &image.id).collect();
    assert_eq!(left, BTreeSet::from([&made[0], &made[3]]));
    assert!(tidy(&*stand.builder, stand.log, &keep, u64::MAX).await.unwrap().is_empty());
}

pub(crate) async fn a_command_makes_files_of_those_that_it_is_given(stand: &Stand) {
    let build = stand.command(1, &["/shell", "site", "out"], "out").await;
    let (made, told) = stand.ran_until(&build, "").await;
    let folder = made.unwrap();
    assert_eq!(std::fs::read_to_string(folder.join("index.html")).unwrap(), "a page");
    assert!(told[0].contains("/shell site out") && told[0].contains("the-image"), "{told:#?}");
    assert_eq!(told.last().map(String::as_str), Some("#1 DONE"), "{told:#?}");
    assert!(stand.commands().await.is_empty(), "its container stays behind");
}

pub(crate) async fn a_command_has_its_environment_and_says_so_in_its_lines(stand: &Stand) {
    let mut build = stand.command(1, &["/shell", "arg", "COLOUR"], ".").await;
    build.args.insert("COLOUR".to_owned(), "red".to_owned());
    let (made, told) = stand.ran_until(&build, "").await;
    assert!(made.unwrap().join("index.html").is_file());
    assert!(told.contains(&"#1 COLOUR is red".to_owned()), "{told:#?}");
}

pub(crate) async fn a_command_that_fails_is_told_with_its_last_lines(stand: &Stand) {
    let build = stand.command(1, &["/shell", "exit", "3"], "out").await;
    let (failed, told) = stand.ran_until(&build, "").await;
    let Err(BuildError::Step { step, why, last }) = failed else { panic!("{failed:?}") };
    assert!(step.contains("/shell exit 3"), "{step}");
    assert_eq!((why.as_str(), last), ("exit code: 3", vec!["going to fail".to_owned()]));
    assert!(told.last().is_some_and(|line| line.contains("ERROR")), "{told:#?}");
    assert!(stand.commands().await.is_empty(), "its container stays behind");
}

pub(crate) async fn a_command_that_makes_no_folder_is_refused(stand: &Stand) {
    for output in ["nowhere", "index.html"] {
        let build = stand.command(1, &["/shell", "print", "done"], output).await;
        let (refused, _) = stand.ran_until(&build, "").await;
        let expected = format!("the command has made no folder {output}");
        assert_eq!(refused, Err(BuildError::Refused(expected)));
    }
}

pub(crate) async fn a_command_that_is_cancelled_leaves_nothing(stand: &Stand) {
    let build = stand.command(1, &["/shell", "hang", &stand.mark], "out").await;
    let (ended, told) = stand.ran_until(&build, "hanging").await;
    assert_eq!(ended, Err(BuildError::Cancelled), "{told:#?}");
    assert!(!stand.runs(), "it still runs");
    assert!(stand.commands().await.is_empty(), "its container stays behind");
}

pub(crate) async fn a_command_that_takes_too_long_is_ended(stand: &Stand) {
    let deadline = Duration::from_secs(3);
    let build = Build { deadline, ..stand.command(1, &["/shell", "hang", &stand.mark], "out").await };
    assert_eq!(stand.ran_until(&build, "").await.0, Err(BuildError::Late(deadline)));
    assert!(!stand.runs() && stand.commands().await.is_empty(), "it still runs");
}

impl Stand {
    /// Containers that commands of this test run in.
    async fn commands(&self) -> Vec<String> {
        if self.real { docker::labelled("io.cutover.command.log", self.log).await } else { Vec::new() }
    }

    /// Images that have no name, as those of steps.
    async fn count_images(&self) -> usize {
        if !self.real || self.kind != BuilderKind::Classic {
            return 0;
        }
        self.nameless().await
    }

    /// Containers that steps of this test run in.
    async fn containers(&self) -> Vec<String> {
        if !self.real {
            return Vec::new();
        }
        docker::containers_running(&self.mark).await
    }
}
