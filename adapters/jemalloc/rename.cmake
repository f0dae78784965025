# Makes of jemalloc's static archive one object file whose public names begin with a prefix and whose other names are its
# own: it can be linked beside any malloc, another jemalloc included.
#
#   cmake -DARCHIVE=… -DPREFIX=… -DOUTPUT=… -DWORK=<folder> -DAR=… -DLINKER=… -DNM=… -DOBJCOPY=… -P rename.cmake
cmake_minimum_required(VERSION 3.25)
function(run)
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    set(text "${text}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
file(COPY_FILE ${ARCHIVE} ${WORK}/jemalloc.a)

# operator new and delete, and with them the C++ library.
run(${AR} t ${WORK}/jemalloc.a)
string(REGEX MATCHALL "jemalloc_cpp[^\n]*" cpp_members "${text}")
if(cpp_members)
    run(${AR} d ${WORK}/jemalloc.a ${cpp_members})
endif()
run(${LINKER} -r --whole-archive ${WORK}/jemalloc.a -o ${WORK}/whole.o)

# Public is what does not begin with je_.
run(${NM} -g --defined-only ${WORK}/whole.o)
string(REGEX MATCHALL "[^ \n]+\n" names "${text}")
set(map "")
set(public "")
foreach(name IN LISTS names)
    string(STRIP "${name}" name)
    if(NOT name MATCHES "^je_")
        string(APPEND map "${name} ${PREFIX}${name}\n")
        string(APPEND public "${PREFIX}${name}\n")
    endif()
endforeach()
# Its fork handlers are registered by a function of ours (atfork.cpp), which the malloc shim replaces.
string(APPEND map "pthread_atfork ${PREFIX}atfork\n")
file(WRITE ${WORK}/map "${map}")
file(WRITE ${WORK}/public "${public}")
run(${OBJCOPY} --redefine-syms=${WORK}/map ${WORK}/whole.o ${WORK}/renamed.o)
run(${OBJCOPY} --keep-global-symbols=${WORK}/public ${WORK}/renamed.o ${OUTPUT})
file(REMOVE_RECURSE ${WORK})
