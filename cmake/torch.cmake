# LibTorch out of the PyPI wheel, linked by path. find_package(Torch) is not used: with the CUDA
# wheel it demands a CUDA toolkit and overrides its architectures; linking two libraries by path
# needs neither. SGMAE_TORCH_DIR is the `torch` folder of the installed wheel.
set(SGMAE_TORCH_DIR "" CACHE PATH "the `torch` folder of the PyPI wheel torch==2.11.0")
if(NOT EXISTS "${SGMAE_TORCH_DIR}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "No LibTorch in SGMAE_TORCH_DIR='${SGMAE_TORCH_DIR}'. Run ./dev build, which "
                      "installs the wheel and sets this, or point it at an installed torch 2.11.0.")
endif()

add_library(torch INTERFACE)
# -idirafter: the wheel carries its own fmt, protobuf, pybind11 … which must not hide Debian's.
target_compile_options(torch INTERFACE
  "SHELL:-idirafter ${SGMAE_TORCH_DIR}/include"
  "SHELL:-idirafter ${SGMAE_TORCH_DIR}/include/torch/csrc/api/include"
  # at::parallel_for runs its body through OpenMP only where the including file is compiled with it.
  -fopenmp)
target_compile_definitions(torch INTERFACE AT_PER_OPERATOR_HEADERS)
# The wheel's own libgomp, so that our parallel regions and LibTorch's share one thread team.
target_link_libraries(torch INTERFACE
  "${SGMAE_TORCH_DIR}/lib/libtorch_cpu.so" "${SGMAE_TORCH_DIR}/lib/libc10.so"
  "${SGMAE_TORCH_DIR}/lib/libgomp.so.1")
# libtorch_cpu.so finds libcupti and libcudart itself, by its RUNPATH; the linker need not.
target_link_options(torch INTERFACE "-Wl,-rpath,${SGMAE_TORCH_DIR}/lib" -Wl,--allow-shlib-undefined)
