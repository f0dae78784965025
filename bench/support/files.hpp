// Files that a bench makes and looks at.
#pragma once

#include <cstdint>
#include <filesystem>

namespace bench {

// A folder of our own, gone with all that is in it in the end.
class scratch_folder {
public:
    scratch_folder();
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    ~scratch_folder();

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

// FNV-1a of what is in the file.
std::uint64_t checksum(const std::filesystem::path& file);

}  // namespace bench
