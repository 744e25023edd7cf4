//! Tests of runs that are resumed with more epochs.

use super::*;

/// The files of a run folder, sorted by name.
fn files(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(run).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A finished or stopped run that is given more epochs ends with the same bytes as a run that had them from the start.
#[test]
fn trained_longer_bit_for_bit() {
    let runs = Runs::new();
    let schedules = ["constant", "step:1:0.5", "warmup:1ep/multistep:1,2:0.1", "plateau:0:0.5"];
    for (i, schedule) in schedules.into_iter().enumerate() {
        let (whole, part) = (runs.at(&format!("whole{i}")), runs.at(&format!("part{i}")));
        let start = |run: &Path, epochs: &str| {
            let mut command = train_epochs(run, epochs);
            command.args(["--scheduler", schedule]);
            command
        };
        succeed(&mut start(&whole, "4"));
        succeed(&mut start(&part, "2"));
        let before = files(&part);
        succeed(&mut receptive(&["train", "--resume", text(&part), "--epochs", "2"]));
        assert!(before == files(&part), "as many epochs as it has are no longer run");
        succeed(&mut receptive(&["train", "--resume", text(&part), "--epochs", "3"]));
        succeed(&mut receptive(&["train", "--resume", text(&part), "--epochs", "4"]));
        assert_same_run(&whole, &part);
        assert_eq!(RunDir::config(&whole).unwrap(), RunDir::config(&part).unwrap());
    }
    // A run that was killed before its end.
    let (whole, part) = (runs.at("whole0"), runs.at("stopped"));
    let mut child = train_epochs(&part, "3").spawn().unwrap();
    while !part.join("checkpoint.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(&mut receptive(&["train", "--resume", text(&part), "--epochs", "4"]));
    assert_same_run(&whole, &part);
}

/// More epochs do not help here: early stopping would end the run at the same epoch.
#[test]
fn a_run_that_ended_early_is_not_trained_longer() {
    let runs = Runs::new();
    let run = runs.at("run");
    let said = succeed(train_epochs(&run, "9").args(["--early-stop", "1", "--lr", "1e-12"])).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("ended early: 1 epochs without a better score"), "{said}");
    let message = refuse(&mut receptive(&["train", "--resume", text(&run), "--epochs", "12"]));
    assert!(message.contains("ended after epoch 2 of 9") && message.contains("--early-stop"), "{message}");
}

/// A run whose checkpoint or metrics are missing is not continued, and its other files are not overwritten.
#[test]
fn a_run_that_lost_files_does_not_go_on() {
    let runs = Runs::new();
    let whole = runs.at("whole");
    succeed(&mut train_epochs(&whole, "2"));
    let cases: [(&str, Option<&str>, &str); 3] = [
        ("checkpoint.safetensors", None, "no checkpoint.safetensors to continue from"),
        ("metrics.jsonl", None, "has 0 bytes"),
        ("metrics.jsonl", Some(""), "has 0 bytes"),
    ];
    for (i, (lost, content, said)) in cases.into_iter().enumerate() {
        let run = runs.at(&format!("run{i}"));
        fs::create_dir(&run).unwrap();
        for (path, bytes) in files(&whole) {
            fs::write(run.join(path.file_name().unwrap()), bytes).unwrap();
        }
        match content {
            None => fs::remove_file(run.join(lost)).unwrap(),
            Some(content) => fs::write(run.join(lost), content).unwrap(),
        }
        let before = (metrics_text(&run), fs::read(run.join("last.safetensors")).unwrap());
        let message = refuse(&mut receptive(&["train", "--resume", text(&run), "--epochs", "3"]));
        assert!(message.contains(said), "{message}");
        assert_eq!((metrics_text(&run), fs::read(run.join("last.safetensors")).unwrap()), before);
    }
}

fn metrics_text(run: &Path) -> Option<String> {
    fs::read_to_string(run.join("metrics.jsonl")).ok()
}

#[test]
fn a_run_that_cannot_be_trained_longer_says_why_and_stays() {
    let runs = Runs::new();
    let cases: [(&[&str], &str, &str); 6] = [
        (&[], "1", "1 epochs are fewer than the run's 2"),
        (&["--max-steps", "3"], "4", "ends after 3 steps"),
        (&["--scheduler", "cosine"], "4", "depend on the length of the run"),
        (&["--scheduler", "onecycle"], "4", "depend on the length of the run"),
        (&["--scheduler", "triangle:1"], "4", "depend on the length of the run"),
        (&["--scheduler", "warmup:2/cosine"], "4", "depend on the length of the run"),
    ];
    for (i, (flags, epochs, said)) in cases.into_iter().enumerate() {
        let run = runs.at(&format!("run{i}"));
        succeed(train_epochs(&run, "2").args(flags));
        let before = files(&run);
        let message = refuse(&mut receptive(&["train", "--resume", text(&run), "--epochs", epochs]));
        assert!(message.contains(said), "{message}");
        assert!(before == files(&run), "{message}");
    }
}
