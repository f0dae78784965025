// Finds the functions that a C++ file defines, by its braces: enough for code that is formatted by clang-format, and
// independent of any other tool.
#pragma once

#include <cctype>
#include <cstddef>
#include <regex>
#include <string>
#include <vector>

namespace structure {

struct function {
    std::string name;
    std::size_t first_line, last_line;
    bool operator==(const function&) const = default;
    std::size_t length() const { return last_line - first_line + 1; }
};

// The text with nothing in place of comments, of what stands in quotation marks, of preprocessor lines and of what
// follows #else; the lines stay where they are.
inline std::string bare(const std::string& text) {
    std::string out;
    std::vector<bool> passed_over;  // of each #if that is open: whether its #else was met
    const auto is_passed_over = [&] {
        for (const bool each : passed_over)
            if (each) return true;
        return false;
    };
    bool line_begins = true;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const auto skip_to = [&](std::size_t end) {  // to the character before it
            for (; i + 1 < end && i + 1 < text.size(); ++i)
                if (text[i] == '\n') out += '\n';
        };
        const auto after = [&](const std::string& mark, std::size_t from) {
            const std::size_t at = text.find(mark, from);
            return at == std::string::npos ? text.size() : at + mark.size();
        };
        if (line_begins && c == '#') {
            std::size_t end = i;
            do end = after("\n", end);
            while (end >= 2 && text[end - 2] == '\\');
            static const std::regex directive(R"(#\s*(if|else|elif|endif))");
            std::smatch found;
            const std::string line = text.substr(i, end - i);
            if (std::regex_search(line, found, directive, std::regex_constants::match_continuous)) {
                if (found[1] == "if")
                    passed_over.push_back(false);
                else if (found[1] == "endif" && !passed_over.empty())
                    passed_over.pop_back();
                else if (!passed_over.empty())
                    passed_over.back() = true;
            }
            skip_to(end - 1);
        } else if (text.compare(i, 2, "//") == 0) {
            skip_to(after("\n", i) - 1);
        } else if (text.compare(i, 2, "/*") == 0) {
            skip_to(after("*/", i));
        } else if (text.compare(i, 2, "R\"") == 0) {
            const std::size_t open = text.find('(', i);
            std::string close(1, ')');  // not ")" + …, of which g++ 12 warns without a cause
            close += text.substr(i + 2, open - i - 2) += '"';
            skip_to(after(close, open));
        } else if (c == '"' || (c == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) {
            std::size_t end = i + 1;
            while (end < text.size() && text[end] != c) end += text[end] == '\\' ? 2 : 1;
            skip_to(end + 1);
            out += is_passed_over() ? "" : "_";
        } else if (c == '\n' || !is_passed_over()) {
            out += c;
        }
        if (text[i] == '\n')
            line_begins = true;
        else if (!std::isspace(static_cast<unsigned char>(text[i])))
            line_begins = false;
    }
    return out;
}

class function_finder {
public:
    explicit function_finder(const std::string& text) : text_(bare(text)) {}

    std::vector<function> find() {
        scope();
        return found_;
    }
    // Whether every brace has its partner.
    bool balanced() const { return at_ == text_.size() && !broken_; }

private:
    // What stands in a namespace or a class, up to its closing brace.
    void scope() {
        std::string head;  // what was met since the last declaration ended
        std::size_t begin = line_;
        int parentheses = 0;
        for (; at_ < text_.size(); next()) {
            const char c = text_[at_];
            if (c == '}') {
                if (depth_ == 0) broken_ = true;
                return;
            }
            if (head.empty() && std::isspace(static_cast<unsigned char>(c))) continue;
            if (head.empty()) begin = line_;
            if (c == '(') ++parentheses;
            if (c == ')') --parentheses;
            if (c == ';' && parentheses == 0) {
                head.clear();
            } else if (c == ':' && parentheses == 0 && is_label(head)) {
                head.clear();
            } else if (c == '{') {
                if (parentheses == 0 && opens_scope(head)) {
                    enter();
                    scope();
                    leave();
                    head.clear();
                } else if (parentheses == 0 && opens_function(head)) {
                    enter();
                    body();
                    leave();
                    found_.push_back({name_in(head), begin, line_});
                    head.clear();
                } else {  // an initializer, a requirement, a list of enumerators
                    enter();
                    body();
                    leave();
                    head += "{}";
                }
            } else {
                head += c;
            }
        }
        if (depth_ != 0) broken_ = true;
    }

    // Up to the closing brace of what has been opened.
    void body() {
        for (; at_ < text_.size(); next()) {
            if (text_[at_] == '}') return;
            if (text_[at_] != '{') continue;
            enter();
            body();
            leave();
        }
        broken_ = true;
    }

    void enter() {
        ++depth_;
        next();
    }
    void leave() { --depth_; }  // on the closing brace; the loop goes on behind it
    void next() {
        if (at_ < text_.size() && text_[at_] == '\n') ++line_;
        ++at_;
    }

    static bool is_label(const std::string& head) {
        return head == "public" || head == "private" || head == "protected";
    }

    // Without template parameters, attributes and what else has parentheses or a keyword in front of the declaration.
    static std::string stripped(std::string head) {
        static const std::regex words(
            R"(\[\[[^\]]*\]\]|\b(alignas|decltype|noexcept|explicit|requires|__attribute__|TIDEPOOL_[A-Z_]+)\s*)"
            R"(\(([^()]|\(([^()]|\([^()]*\))*\))*\)|\b(inline|static|constexpr|export|typedef)\b)");
        head = std::regex_replace(head, words, " ");
        for (std::size_t at; (at = head.find("template")) != std::string::npos;) {
            std::size_t end = head.find('<', at);
            if (end == std::string::npos) break;
            for (int open = 0; end < head.size(); ++end) {
                if (head[end] == '<') ++open;
                if (head[end] == '>' && --open == 0) break;
            }
            head.erase(at, end + 1 - at);
            head.insert(at, 1, ' ');
        }
        return head;
    }

    static bool opens_scope(const std::string& head) {
        static const std::regex scoped(R"(\b(namespace|class|struct|union)\b[^=(]*$)"),
            language(R"(^\s*extern\s+_\s*$)");
        const std::string rest = stripped(head);
        return std::regex_search(rest, scoped) ? rest.find('(') == std::string::npos
                                               : std::regex_search(rest, language);
    }

    static bool opens_function(const std::string& head) {
        static const std::regex requirement(R"(\brequires\s*(\([^()]*\)\s*)?$)"), list(R"(^\s*enum\b)"),
            initializes_members(R"(\)[^()]*[^:]:[^:])"), names_a_member(R"([\w>]\s*$)");
        if (std::regex_search(head, requirement) || std::regex_search(head, list)) return false;
        const std::string rest = stripped(head);
        const std::size_t parameters = rest.find('(');
        if (parameters == std::string::npos) return false;
        const std::size_t assigns = rest.find('=');
        if (assigns < parameters && rest.find("operator") > assigns) return false;
        return !(std::regex_search(rest, initializes_members) && std::regex_search(rest, names_a_member));
    }

    static std::string name_in(const std::string& head) {
        static const std::regex named(
            R"((operator\s*(\(\)|\[\]|[^\s\w(]+|[\w\s:*&]+?(\[\])?)|~?\w+)\s*(<[^()]*>\s*)?\()");
        const std::string rest = stripped(head);
        std::smatch found;
        std::string name = std::regex_search(rest, found, named) ? found[1].str() : rest;
        std::erase_if(name, [](char c) { return std::isspace(static_cast<unsigned char>(c)); });
        return name;
    }

    std::string text_;
    std::size_t at_ = 0, line_ = 1;
    int depth_ = 0;
    bool broken_ = false;
    std::vector<function> found_;
};

}  // namespace structure
