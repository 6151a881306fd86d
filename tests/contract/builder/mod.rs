//! The contract of `Builder`, held by both builders of Docker and by the twin.

mod docker_only;
mod harness;
mod sentences;

/// Makes a test of each sentence, for every builder.
macro_rules! contract {
    ($($sentence:ident),* $(,)?) => {
        mod buildkit {
            $(contract!(@one $sentence, buildkit);)*
        }
        mod classic {
            $(contract!(@one $sentence, classic);)*
        }
        mod memory {
            $(contract!(@one $sentence, memory);)*
        }
    };
    (@one $sentence:ident, $begin:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $sentence() {
            let name = concat!(stringify!($begin), "::", stringify!($sentence));
            let stand = super::harness::$begin(name).await;
            super::harness::run(stand, |stand| Box::pin(super::sentences::$sentence(stand))).await;
        }
    };
}

contract! {
    a_build_makes_an_image_and_tells_its_steps,
    the_same_content_is_not_built_again,
    other_arguments_make_another_image,
    a_stage_is_built_alone,
    a_failing_step_is_told_with_its_last_lines,
    a_dockerfile_that_is_none_is_refused,
    a_build_that_is_cancelled_leaves_nothing,
    a_build_that_takes_too_long_is_ended,
    old_images_go_and_named_ones_stay,
    a_command_makes_files_of_those_that_it_is_given,
    a_command_has_its_environment_and_says_so_in_its_lines,
    a_command_that_fails_is_told_with_its_last_lines,
    a_command_that_makes_no_folder_is_refused,
    a_command_that_is_cancelled_leaves_nothing,
    a_command_that_takes_too_long_is_ended,
}
