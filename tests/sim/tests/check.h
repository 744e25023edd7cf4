// Each case runs in its own process: after an error the context cannot be used, and settings are read only
// once.
#pragma once
#include "harness.h"

#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

struct Result {
    int status;         // the driver's code, or one of the three constants below
    std::string report; // what was printed
};
constexpr int NAN_FOUND = 250, WRONG = 251, CRASHED = 252;

// Runs `body` in a child process with these settings. The result's status is what `body` returns.
inline Result run_apart(const std::vector<std::pair<std::string, std::string>>& settings,
                        const std::function<int()>& body) {
    int output[2], code[2];
    if (pipe(output) || pipe(code)) exit(1);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        for (const auto& [name, value] : settings) setenv(name.c_str(), value.c_str(), 1);
        dup2(output[1], 2);
        dup2(output[1], 1);
        close(output[0]);
        open_device();
        const int status = body();
        fflush(stdout);
        if (write(code[1], &status, sizeof status) != sizeof status) _exit(1);
        _exit(0);
    }
    close(output[1]);
    close(code[1]);
    Result result{CRASHED, ""};
    char buffer[1000];
    for (ssize_t n; (n = read(output[0], buffer, sizeof buffer)) > 0;)
        result.report.append(buffer, size_t(n));
    if (read(code[0], &result.status, sizeof result.status) != sizeof result.status) result.status = CRASHED;
    close(output[0]);
    close(code[0]);
    waitpid(child, nullptr, 0);
    return result;
}

inline std::string status_text(int status) {
    switch (status) {
    case 0: return "no error";
    case NAN_FOUND: return "NaN in the result";
    case WRONG: return "wrong result";
    case CRASHED: return "crashed";
    default: return "error " + std::to_string(status);
    }
}
