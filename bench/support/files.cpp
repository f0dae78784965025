#include "support/files.hpp"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace bench {

namespace fs = std::filesystem;

scratch_folder::scratch_folder() {
    std::string name = fs::temp_directory_path() / "tidepool-bench-XXXXXX";
    if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
}

scratch_folder::~scratch_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::uint64_t checksum(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + file.string());
    std::uint64_t sum = 0xcbf29ce484222325;
    std::vector<char> buffer(1U << 16);
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0)
        for (std::streamsize i = 0; i < in.gcount(); ++i)
            sum = (sum ^ static_cast<unsigned char>(buffer[static_cast<std::size_t>(i)])) * 0x100000001b3;
    return sum;
}

}  // namespace bench
