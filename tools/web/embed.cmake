# SPDX-License-Identifier: Apache-2.0
# Writes the assembler source that holds the files of a directory, each as it is and by gzip, and the table of them.
set(assembly "// Made by embed.cmake.\n.section .note.GNU-stack,\"\",@progbits\n.section .rodata\n")
set(table "// Made by embed.cmake.\n#include \"tools/web/page.h\"\n\n")
set(rows "")
set(number 0)
file(REMOVE_RECURSE ${embedded})
file(MAKE_DIRECTORY ${embedded})
foreach(file ${files})
  file(RELATIVE_PATH path ${dist} ${file})
  set(copy ${embedded}/${number}) # since the page may be made anew meanwhile
  file(COPY_FILE ${file} ${copy}.plain)
  execute_process(COMMAND gzip -9 -n -c ${file} OUTPUT_FILE ${copy}.gzip COMMAND_ERROR_IS_FATAL ANY)
  foreach(kind plain gzip)
    set(symbol hindsight_page_${number}_${kind})
    string(APPEND assembly
      ".global ${symbol}\n.global ${symbol}_end\n${symbol}:\n.incbin \"${copy}.${kind}\"\n${symbol}_end:\n")
    string(APPEND table "extern \"C\" const char ${symbol}[], ${symbol}_end[];\n")
  endforeach()
  set(symbol hindsight_page_${number})
  string(APPEND rows "      {\"${path}\", {${symbol}_plain, ${symbol}_plain_end}, {${symbol}_gzip, ${symbol}_gzip_end}},\n")
  math(EXPR number "${number} + 1")
endforeach()
string(APPEND table "\nnamespace tools {\n\nconst std::vector<PageFile>& page_files() {\n"
  "  static const std::vector<PageFile> files{\n${rows}  };\n  return files;\n}\n\n}  // namespace tools\n")
file(WRITE ${embedded}.S "${assembly}")
file(WRITE ${embedded}.cc "${table}")
