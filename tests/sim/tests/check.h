// A case runs in a process of its own: after an error the context is beyond use, and settings are read once.
#pragma once
#include "harness.h"

#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

struct Result {
    int status;         // of the driver, or one of those below
    std::string report; // what was printed
};
constexpr int NAN_FOUND = 250, WRONG = 251, CRASHED = 252;

// Runs `body` in a child with these settings; its result is what `body` returns (0 to 255, or a driver's
// code).
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
