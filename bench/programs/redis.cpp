// redis-server under redis-benchmark: started for each run on a free port of the loopback interface, nothing written to
// disk, ended again. The time is what redis-benchmark took by its own account, and only the server has the malloc under
// test.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <initializer_list>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "programs/programs.hpp"
#include "support/command.hpp"

namespace bench {

namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

class tcp_socket {
public:
    tcp_socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "socket");
    }
    tcp_socket(const tcp_socket&) = delete;
    tcp_socket& operator=(const tcp_socket&) = delete;
    ~tcp_socket() { ::close(fd_); }

    bool connects(std::uint16_t port) {
        const sockaddr_in to = loopback(port);
        return ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }

    // One that the kernel finds free.
    std::uint16_t port() {
        sockaddr_in at = loopback(0);
        socklen_t size = sizeof at;
        if (::bind(fd_, reinterpret_cast<const sockaddr*>(&at), size) != 0 ||
            ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
            throw std::system_error(errno, std::generic_category(), "bind");
        return ntohs(at.sin_port);
    }

private:
    int fd_;
};

void await(background& server, std::uint16_t port) {
    for (int tries = 0; tries < 1000; ++tries) {
        if (tcp_socket().connects(port)) return;
        if (server.has_ended()) server.wait();  // which says how
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    throw std::runtime_error("redis-server does not answer");
}

// redis-benchmark's table: "test","rps",… a line, the first line the names.
std::vector<std::pair<std::string, double>> parts(const std::string& csv, double requests) {
    std::vector<std::pair<std::string, double>> all;
    std::istringstream lines(csv);
    std::string line;
    for (std::getline(lines, line); std::getline(lines, line);) {
        const auto name_end = line.find("\",\"");
        // What comes before LRANGE only to have a list for it is said to be "needed".
        if (name_end == std::string::npos || line.find("(needed") < name_end) continue;
        const std::string name = line.substr(1, line.find_first_of(" \"", 1) - 1);
        all.emplace_back(name, 1e3 * requests / std::stod(line.substr(name_end + 3)));
    }
    if (all.empty()) throw std::runtime_error("redis-benchmark said nothing: " + csv);
    return all;
}

// redis-benchmark's keys are other ones each time. So the digest, of all keys and values, is taken of these.
constexpr const char* known_work = R"(
    for i = 1, 20000 do
        redis.call('SET', 'string:' .. i % 7000, string.rep('x', i % 3000))
        redis.call('APPEND', 'string:' .. i % 5000, i)
        redis.call('RPUSH', 'list:' .. i % 50, string.rep('y', i % 200))
        redis.call('HSET', 'hash:' .. i % 100, 'field:' .. i % 1000, i)
        redis.call('ZADD', 'sorted', i % 1009, 'member:' .. i)
        if i % 3 == 0 then redis.call('DEL', 'string:' .. i % 4000) end
        if i % 5 == 0 then redis.call('LPOP', 'list:' .. i % 50) end
    end)";

std::vector<std::string> cli(const std::string& port, std::initializer_list<std::string> words) {
    // -e: an error that the server answers is one of the command.
    std::vector<std::string> argv{"/usr/bin/redis-cli", "-e", "-p", port};
    argv.insert(argv.end(), words);
    return argv;
}

program_run one_run(const std::string& folder, const std::string& preload, unsigned requests) {
    const std::uint16_t number = tcp_socket().port();
    const std::string port = std::to_string(number);
    background server({{"/usr/bin/redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", folder, "--save", "",
                        "--appendonly", "no", "--enable-debug-command", "local"},
                       preload});
    await(server, number);
    const finished bench = run(
        {{"/usr/bin/redis-benchmark", "-p", port, "-t", "set,get,incr,lpush,rpush,lpop,sadd,hset,zadd,lrange_100,mset",
          "-n", std::to_string(requests), "-P", "16", "-r", "100000", "-d", "256", "--csv"}});
    run({cli(port, {"FLUSHALL"})});
    run({cli(port, {"EVAL", known_work, "0"})});
    const finished digest = run({cli(port, {"DEBUG", "DIGEST"})});
    run({cli(port, {"SHUTDOWN", "NOSAVE"})});
    const ended r = server.wait();

    program_run result{0, r.cpu_ms, r.peak_kib, digest.output, parts(bench.output, requests)};
    for (const auto& [name, ms] : result.parts_ms) result.wall_ms += ms;
    return result;
}

}  // namespace

real_program redis() {
    return {"run-redis", 1, true, [](const std::filesystem::path& folder, bool quick) {
                return [=](const std::string& preload) { return one_run(folder, preload, quick ? 5'000 : 40'000); };
            }};
}

}  // namespace bench
