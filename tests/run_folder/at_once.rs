//! Tests of several processes on one folder.

use super::*;

/// Two processes in one folder would overwrite each other's files, so the second is refused. (A killed process leaves
/// no lock behind: see the kill test.)
#[cfg(unix)]
#[test]
fn a_folder_is_trained_in_by_one_process_at_a_time() {
    let runs = Runs::new();
    let run = runs.at("run");
    let mut first = train_epochs(&run, "200").spawn().unwrap();
    while !run.join("checkpoint.safetensors").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let message = refuse(&mut receptive(&["train", "--resume", text(&run)]));
    assert!(message.contains("another process"), "{message}");
    first.kill().unwrap();
    first.wait().unwrap();
}

/// If several processes start on one folder, exactly one trains. The others fail with a message and change no file.
#[test]
fn simultaneous_starts_never_share_a_folder() {
    let runs = Runs::new();
    for round in 0..4 {
        let run = runs.at(&format!("run{round}"));
        let start = || train(&run).args(["--max-steps", "2"]).spawn().unwrap();
        let started: Vec<_> = (0..4).map(|_| start()).collect();
        let ended: Vec<Output> = started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        assert_eq!(ended.iter().filter(|output| output.status.success()).count(), 1, "{ended:?}");
        for output in ended.iter().filter(|output| !output.status.success()) {
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(message.contains("already contains a run"), "{message}");
        }
        assert_eq!(metrics(&run).len(), 2 + 2 + 1);
    }
}

/// A start that fails removes the folder that it created. Another start that waited for this folder fails for the same
/// reason, or says that the folder is in use.
#[test]
fn simultaneous_starts_that_fail_say_why() {
    let runs = Runs::new();
    for round in 0..6 {
        let run = runs.at(&format!("run{round}"));
        let start = || train(&run).args(["--freeze", "conv1,conv2,fc1,fc2,fc3"]).spawn().unwrap();
        let started: Vec<_> = (0..6).map(|_| start()).collect();
        for child in started {
            let output = child.wait_with_output().unwrap();
            let message = String::from_utf8_lossy(&output.stderr);
            let known =
                ["there is nothing to train", "already contains a run", "another process is training"];
            assert!(!output.status.success() && known.iter().any(|k| message.contains(k)), "{message}");
        }
        // No file of a run is left. An empty folder may be left, if its creator found another process's run in it.
        assert!(fs::read_dir(&run).map_or(true, |mut entries| entries.next().is_none()), "{}", run.display());
    }
}

/// Without `--out`, every start gets its own folder.
#[test]
fn simultaneous_starts_without_a_folder_each_find_one() {
    let runs = Runs::new();
    let start = || {
        let flags = ["train", "softmax", "--data", "sample", "--subset", "100", "--max-steps", "1"];
        receptive(&flags).args(["--threads", "1"]).current_dir(runs.0.path()).spawn().unwrap()
    };
    let started: Vec<_> = (0..4).map(|_| start()).collect();
    started.into_iter().for_each(|mut child| assert!(child.wait().unwrap().success()));
    for n in 1..=4 {
        assert!(metrics(&runs.at(&format!("runs/softmax-sample-{n}"))).len() == 3);
    }
}
